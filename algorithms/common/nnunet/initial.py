"""A look at the weights that a fine-tuning starts from before anything is trained."""

from __future__ import annotations

import torch
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from algorithms.common.nnunet.settings import TrainSettings
from algorithms.common.nnunet.trainer import ReseedTrainer
from algorithms.common.nnunet.training import NetworkTask, planned_network
from algorithms.common.nnunet.weights import fitting_arrays


def check_initial_weights(task: NetworkTask, settings: TrainSettings) -> None:
    """
    Make sure that a network can start from its file of weights; nothing where it starts from none.

    Raises
    ------
    UserError
        When it is no file of weights, or does not fit the network.
    """
    if task.initial is None:
        return
    plans = PlansManager(planned_network(task.plans(), settings))
    (name,) = plans.plans["configurations"]
    configuration, dataset_json = plans.get_configuration(name), task.dataset_json()
    # names and shapes without the memory and the draws
    with torch.device("meta"):
        network = ReseedTrainer.build_network_architecture(
            plans,
            configuration,
            determine_num_input_channels(plans, configuration, dataset_json),
            plans.get_label_manager(dataset_json).num_segmentation_heads,
            enable_deep_supervision=True,
        )
    fitting_arrays(network, task.initial)
