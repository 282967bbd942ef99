"""What a training says of itself beyond its settings: every choice that its code or a library made."""

from __future__ import annotations

from pydantic import Field, JsonValue

from reseed.contracts.model import Contract

RESOLVED = "resolved"
"""Key of a `ResolvedTraining` in the run.json that a training leaves beside its weights."""
ENVIRONMENT = "environment"
"""Key of a `ProgramEnvironment` there."""
COMPUTATION = "computation"
"""Key there of the device, the versions of what computes on it, and the flags that it ran under."""


class Ingredient(Contract):
    """One part of a training method, with every parameter it had, defaults included."""

    name: str = Field(min_length=1, description="As the field calls it: AdamW, binary cross-entropy.")
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    implementation: str | None = Field(
        default=None, description="Where the code is, for instance torch.optim.SGD."
    )


class ResolvedTraining(Contract):
    """
    The silent defaults of a training, resolved.

    A part that the method does not have is null, one that it has is never left out: the optimiser's
    betas, the loss's weights and smoothing, the probability of each augmentation, what a planner chose.
    """

    network: Ingredient
    initialisation: Ingredient | None
    optimiser: Ingredient | None
    schedule: Ingredient | None = Field(description="Of the learning rate.")
    loss: Ingredient
    sampling: Ingredient | None = Field(description="How cases come into batches, in which order.")
    preprocessing: tuple[Ingredient, ...] = ()
    augmentation: tuple[Ingredient, ...] = ()
    regularisation: tuple[Ingredient, ...] = ()
    stopping: Ingredient = Field(description="When training ends.")
    selection: Ingredient = Field(description="Which of the weights are kept.")
    split: Ingredient | None = Field(default=None, description="Which cases are held out.")
    inference: Ingredient | None = Field(default=None, description="What prediction adds: mirroring, means.")
    plans: dict[str, JsonValue] | None = Field(
        default=None, description="What a planner derived from the data, whole."
    )
    library_defaults: dict[str, JsonValue] = Field(
        default_factory=dict, description="Defaults of libraries that were left as they are and matter."
    )
