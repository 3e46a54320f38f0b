"""The web app: two Streamlit pages over the indexer, served by one process."""
