"""The options of ``gircse train``, named as the fields of the training's configuration."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

__all__: list[str] = []

_RUN, _DATA, _RATES, _LOSS = "Run", "Data", "Optimiser and adapters", "Objective"


Steps = Annotated[
    int | None,
    typer.Option(
        "--steps",
        "-k",
        metavar="K",
        help="Refinement steps in training.",
        show_default="5",
        rich_help_panel=_RUN,
    ),
]
Updates = Annotated[
    int | None,
    typer.Option(metavar="N", help="Optimiser steps.", show_default="300", rich_help_panel=_RUN),
]
Seed = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Decides initial weights, batches and dropout.",
        show_default="0",
        rich_help_panel=_RUN,
    ),
]
DType = Annotated[
    Literal["float32", "bfloat16"] | None,
    typer.Option(
        "--dtype",
        help="Type of the frozen base; what is trained is float32.",
        show_default="what is fast here",
        rich_help_panel=_RUN,
    ),
]
CheckpointEvery = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Updates between checkpoints.",
        show_default="100",
        rich_help_panel=_RUN,
    ),
]
ForwardTokens = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Padded tokens that are read in one piece.",
        show_default="4096",
        rich_help_panel=_RUN,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch",
        metavar="N",
        help="Pairs per batch, all of one source; they are each other's negatives.",
        show_default="64, causal models 16",
        rich_help_panel=_DATA,
    ),
]
BlockSize = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Consecutive lines that stay together in a batch.",
        show_default="8",
        rich_help_panel=_DATA,
    ),
]
Accumulation = Annotated[
    int | None,
    typer.Option(metavar="N", help="Batches per update.", show_default="1", rich_help_panel=_DATA),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        metavar="TOKENS",
        help="Cut texts here in training.",
        show_default="128, causal models 512",
        rich_help_panel=_DATA,
    ),
]
HardNegatives = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="How many of a pair's own negatives join the batch.",
        show_default="1",
        rich_help_panel=_DATA,
    ),
]
Mine = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="First let the starting model find up to N hard negatives for each query; they are"
        " kept in DIR-mined.",
        show_default="none",
        rich_help_panel=_DATA,
    ),
]
LeaveOut = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Leave out a source, a '#tag' or 'source#tag'; may be repeated.",
        rich_help_panel=_DATA,
    ),
]
SourceWeight = Annotated[
    list[str] | None,
    typer.Option(
        "--source-weight",
        metavar="SOURCE=FACTOR",
        help="Draw a source more or less often; may be repeated.",
        rich_help_panel=_DATA,
    ),
]
SourceExponent = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="Draw sources in proportion to their size to this power.",
        show_default="0.7",
        rich_help_panel=_DATA,
    ),
]
SourceCap = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Sizes above it count as this.",
        show_default="0, no cap",
        rich_help_panel=_DATA,
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--lr",
        metavar="X",
        help="Of the low-rank adapters, after warm-up.",
        show_default="5e-4, causal models 1e-5",
        rich_help_panel=_RATES,
    ),
]
OtherRate = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="Factor on it for all other trained tensors.",
        show_default="1",
        rich_help_panel=_RATES,
    ),
]
Schedule = Annotated[
    Literal["linear", "cosine", "constant"] | None,
    typer.Option(
        help="How the learning rate falls after warm-up.",
        show_default="cosine, causal models linear",
        rich_help_panel=_RATES,
    ),
]
Warmup = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Share of the updates in which it rises.",
        show_default="0.05, causal models 0.03",
        rich_help_panel=_RATES,
    ),
]
WeightDecay = Annotated[
    float | None,
    typer.Option(metavar="X", help="Of AdamW.", show_default="0", rich_help_panel=_RATES),
]
ClipNorm = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="Limit of the gradient's norm; 0 clips nothing.",
        show_default="1",
        rich_help_panel=_RATES,
    ),
]
AverageDecay = Annotated[
    float | None,
    typer.Option(
        "--average",
        metavar="DECAY",
        help="Export a moving average of the weights, such as 0.99.",
        show_default="0, no average",
        rich_help_panel=_RATES,
    ),
]
Rank = Annotated[
    int | None,
    typer.Option(
        metavar="R",
        help="Of new low-rank adapters.",
        show_default="32, causal models 16",
        rich_help_panel=_RATES,
    ),
]
Alpha = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="Their updates are scaled by alpha / r.",
        show_default="32, causal models 64",
        rich_help_panel=_RATES,
    ),
]
Dropout = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        help="On their inputs; causal models only.",
        show_default="0, causal models 0.1",
        rich_help_panel=_RATES,
    ),
]
StepEmbeddings = Annotated[
    bool | None,
    typer.Option(
        "--step-embeddings",
        help="Train a vector for each step; prefix encoders only.",
        show_default=False,
        rich_help_panel=_RATES,
    ),
]
QueryEmbedding = Annotated[
    bool | None,
    typer.Option(
        "--query-embedding",
        help="Train a vector that marks queries; prefix encoders only.",
        show_default=False,
        rich_help_panel=_RATES,
    ),
]
Readout = Annotated[
    Literal["none", "identity", "zero"] | None,
    typer.Option(
        help="Train a map of the soft tokens' states, starting as this; prefix encoders only.",
        show_default="none",
        rich_help_panel=_RATES,
    ),
]
Reading = Annotated[
    bool | None,
    typer.Option(
        "--reading",
        help="Let soft tokens read the text again after their last layer, beginning at the "
        "anchor's weights; prefix encoders only.",
        rich_help_panel=_RATES,
    ),
]
HeadWords = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Make soft tokens of the N most frequent content words; prefix encoders only.",
        show_default="0, the whole vocabulary",
        rich_help_panel=_RATES,
    ),
]
Convention = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set a value of the model's own configuration, such as gate=0.2; may be repeated.",
        rich_help_panel=_RATES,
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="Of the similarities in InfoNCE.",
        show_default="0.03, causal models 0.02",
        rich_help_panel=_LOSS,
    ),
]
Symmetric = Annotated[
    bool | None,
    typer.Option(
        help="Also ask passages for their queries.",
        show_default="yes, causal models no",
        rich_help_panel=_LOSS,
    ),
]
RegulariserWeight = Annotated[
    float | None,
    typer.Option(
        metavar="LAMBDA",
        help="Weight of: no step worse than the one before.",
        show_default="1",
        rich_help_panel=_LOSS,
    ),
]
RegulariseStart = Annotated[
    bool | None,
    typer.Option(
        "--regularise-start",
        help="Nor step 1 worse than step 0.",
        show_default=False,
        rich_help_panel=_LOSS,
    ),
]
CrossStepWeight = Annotated[
    float | None,
    typer.Option(
        "--cross-step",
        metavar="X",
        help="Weight of queries and passages at different steps.",
        show_default="0",
        rich_help_panel=_LOSS,
    ),
]
CrossStepPairs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Draw so many pairs of steps in each batch.",
        show_default="0, all",
        rich_help_panel=_LOSS,
    ),
]
CrossStepZero = Annotated[
    bool | None,
    typer.Option(
        "--cross-step-zero",
        help="Pair with step 0, too.",
        show_default=False,
        rich_help_panel=_LOSS,
    ),
]
Stagewise = Annotated[
    bool | None,
    typer.Option(
        "--stagewise",
        help="Train each step to mend what those before it get wrong.",
        show_default=False,
        rich_help_panel=_LOSS,
    ),
]
DistillationWeight = Annotated[
    float | None,
    typer.Option(
        "--distil",
        metavar="X",
        help="Weight of keeping a teacher's similarities.",
        show_default="0",
        rich_help_panel=_LOSS,
    ),
]
DistillationTemperature = Annotated[
    float | None,
    typer.Option(
        "--distil-temperature",
        metavar="X",
        help="Softens both sides of it.",
        show_default="0.05",
        rich_help_panel=_LOSS,
    ),
]
Teacher = Annotated[
    Literal["base", "hybrid"] | None,
    typer.Option(
        help="The model before refinement, or that mixed with BM25.",
        show_default="base",
        rich_help_panel=_LOSS,
    ),
]
TeacherDenseWeight = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Share of the similarities in the hybrid teacher.",
        show_default="0.65",
        rich_help_panel=_LOSS,
    ),
]
AnchorWeight = Annotated[
    float | None,
    typer.Option(
        "--anchor",
        metavar="X",
        help="Weight of refining towards what tells a text apart.",
        show_default="0",
        rich_help_panel=_LOSS,
    ),
]
AnchorRare = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="Weight of rare tokens' states in the anchor.",
        show_default="0.4",
        rich_help_panel=_LOSS,
    ),
]
AnchorLexical = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="Weight of rare tokens' input embeddings in it.",
        show_default="0.3",
        rich_help_panel=_LOSS,
    ),
]
AnchorLength = Annotated[
    int | None,
    typer.Option(
        metavar="TOKENS",
        help="Move shorter documents less, in proportion; 0 moves all alike.",
        show_default="0",
        rich_help_panel=_LOSS,
    ),
]
AnchorWhitening = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Shrink what texts vary in much; 0 not at all, 1 to the same for all directions.",
        show_default="0",
        rich_help_panel=_LOSS,
    ),
]
AnchorSteps = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help="The step that is to have arrived there.",
        show_default="8",
        rich_help_panel=_LOSS,
    ),
]
