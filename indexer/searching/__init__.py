"""From a request to hits: query, refinement, the two legs, fusion, excerpts."""
