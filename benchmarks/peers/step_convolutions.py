#!/usr/bin/env python3
"""Only the convolutions of BiT's network, as autograd runs them: the sum of their times bounds whoever uses them.

Forward and backward (weights and, but for the first layer, input) of every convolution with its shapes, layer after layer,
channels-last, weights and activations in the wanted precision. No weight standardisation, no GroupNorm, no ReLU, no head, no
loss, no optimizer; a layer's backward pass follows its forward pass at once, while its tensors are in the cache.
"""
import torch
from step_peer import run, step_options
from timm_bit import bit_model, standardised


def convolution_shapes(options):
    """(input shape, weight shape, stride, padding) of every convolution, in the order of the forward pass."""
    found = []

    def note(layer, inputs, _):
        found.append((inputs[0].shape, layer.weight.shape, layer.stride, layer.padding))

    with torch.device("meta"):
        model = bit_model(options.model, options.classes)
        for layer in standardised(model):
            layer.register_forward_hook(note)
        model(torch.empty(options.batch, 3, options.image_size, options.image_size))
    return found


class Convolution:
    """One layer with tensors of its own."""

    def __init__(self, shapes, dtype, first):
        input_shape, weight_shape, self.stride, self.padding = shapes

        def noise(shape):
            return torch.randn(shape).to(dtype, memory_format=torch.channels_last)

        self.input, self.weight = noise(input_shape).requires_grad_(not first), noise(weight_shape).requires_grad_()
        self.wanted = [self.weight] if first else [self.input, self.weight]
        with torch.no_grad():
            self.gradient = noise(self.forward().shape)

    def forward(self):
        return torch.nn.functional.conv2d(self.input, self.weight, None, self.stride, self.padding)

    def step(self):
        torch.autograd.grad(self.forward(), self.wanted, self.gradient)


def main():
    options = step_options(__doc__).parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[options.precision]
    layers = [Convolution(shapes, dtype, first=n == 0) for n, shapes in enumerate(convolution_shapes(options))]

    def step():
        for layer in layers:
            layer.step()

    run(step, options, peer="autograd's convolutions alone", convolutions=len(layers))


if __name__ == "__main__":
    main()
