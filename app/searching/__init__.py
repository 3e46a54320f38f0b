"""What the search and refinement pages ask and show; knows no Streamlit."""
