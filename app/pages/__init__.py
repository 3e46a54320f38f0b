"""What the browser shows; thin, so that what can be tested without Streamlit lies elsewhere."""
