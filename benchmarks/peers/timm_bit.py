"""BiT's networks by their names here, as timm builds them."""
import functools

import timm
import torch
from timm.layers import GroupNormAct, StdConv2d
from timm.models.resnetv2 import ResNetV2

NAMES = {"R50x1": "resnetv2_50x1_bit", "R50x3": "resnetv2_50x3_bit", "R101x1": "resnetv2_101x1_bit",
         "R101x3": "resnetv2_101x3_bit", "R152x2": "resnetv2_152x2_bit", "R152x4": "resnetv2_152x4_bit"}
SMALL = "R26x1"  # not timm's: four stages of two blocks, built with the settings of the others
MODELS = (*NAMES, SMALL)


def bit_model(name, classes):
    """timm's network with its own initial weights."""
    if name == SMALL:
        return ResNetV2(layers=(2, 2, 2, 2), num_classes=classes, stem_type="fixed", preact=True,
                        conv_layer=functools.partial(StdConv2d, eps=1e-8),
                        norm_layer=functools.partial(GroupNormAct, num_groups=32))
    return timm.create_model(NAMES[name], num_classes=classes, pretrained=False)


def standardised(model):
    """Its convolutions with weight standardisation: all but the head, which is one by name only."""
    return [module for module in model.modules() if isinstance(module, StdConv2d)]


def sgd(parameters, **settings):
    """fused: one sweep over each tensor, on two cores of Zen 3 four times as fast as foreach."""
    return torch.optim.SGD(parameters, fused=True, **settings)
