"""Iterative Contrastive Refinement: training the steps of a model so that each one helps.

Source: Tsai et al., ICLR 2026, arXiv:2509.24291.
"""
