"""Same weights, same images: logits and gradients of ours against timm's resnetv2_50x1_bit, and back into timm.

timm_model.py TIMM_LOGITS_PROGRAM

timm's BiT standardises with eps 1e-8; google-research/big_transfer, and so this project, with 1e-10: the modules' eps is
set to that. Its `fixed` stem pads with zeros before the pool, as big_transfer does.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file, save_file
from timm.layers import StdConv2d

CLASSES = 1000
TOLERANCE = 1e-4  # of the range of the logits, or of a gradient's largest element
KINK_TOLERANCE = 0.05  # of the norm of all gradients, where rounding decides signs


def make_model() -> torch.nn.Module:
    model = timm.create_model("resnetv2_50x1_bit", pretrained=False, num_classes=CLASSES)
    standardised = [module for module in model.modules() if isinstance(module, StdConv2d)]
    assert len(standardised) == 53, len(standardised)
    for module in standardised:
        module.eps = 1e-10
    return model


def randomise(model: torch.nn.Module, generator: torch.Generator, kinks: bool) -> None:
    """Weights without special values: no unit norms, no zero biases, a head that matters.

    With kinks, many activations are close to ReLU's: rounding then decides the sign of a few out of millions, and each
    moves all gradients before it by about 1%. Without, biases keep nearly all activations four deviations away.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name and name.endswith("weight"):
                parameter.copy_(1 + 0.2 * noise if kinks else 0.2 + 0.02 * noise)
            elif "norm" in name:
                parameter.copy_(0.2 * noise if kinks else 0.8 * noise.sign() + 0.1 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.2 * noise)
            else:
                parameter.copy_(0.03 * noise + 0.01)


def run_ours(
    program: str, model: torch.nn.Module, images: torch.Tensor, dlogits: torch.Tensor, given: str = ""
) -> tuple[dict, dict]:
    """Logits and gradients, and the weights as they are exported; from the model's weights or a given file of them."""
    with tempfile.TemporaryDirectory() as folder:
        weights, inputs, result, exported = (
            str(Path(folder) / f"{name}.safetensors") for name in ("weights", "inputs", "result", "exported")
        )
        if not given:
            save_file(model.state_dict(), weights)
        save_file({"images": images, "dlogits": dlogits}, inputs)
        subprocess.run([program, "R50x1", given or weights, inputs, result, exported], check=True)
        return load_file(result), load_file(exported)


def relative_error(ours: torch.Tensor, theirs: torch.Tensor, scale: torch.Tensor) -> float:
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    assert torch.isfinite(ours).all()
    return ((ours - theirs).abs().max() / scale).item()


def compare(program: str, kinks: bool) -> bool:
    generator = torch.Generator().manual_seed(1)
    model = make_model()
    randomise(model, generator, kinks)
    # Odd sides, so that every stride meets a border.
    images = torch.rand(2, 3, 113, 97, generator=generator) * 2 - 1
    dlogits = torch.randn(2, CLASSES, generator=generator)
    ours, exported = run_ours(program, model, images, dlogits)

    logits = model(images)
    logits.backward(dlogits)
    spread = logits.max() - logits.min()
    errors = {"logits": relative_error(ours.pop("logits"), logits.detach(), spread)}
    squared_error = squared_norm = 0.0
    for name, parameter in model.named_parameters():
        gradient = ours.pop(name)
        squared_error += (gradient - parameter.grad).square().sum().item()
        squared_norm += parameter.grad.square().sum().item()
        if not kinks:
            errors[name] = relative_error(gradient, parameter.grad, parameter.grad.abs().max())
    assert not ours, f"gradients that timm does not have: {sorted(ours)}"
    distance = (squared_error / squared_norm) ** 0.5

    again = make_model()
    again.load_state_dict(exported, strict=True)
    with torch.no_grad():
        same = torch.equal(again(images), model(images))

    print(f"{'activations around' if kinks else 'activations away from'} ReLU's kink:")
    print(f"  logits: {errors['logits']:.2e} of their range, {spread.item():.3f}")
    print(f"  gradients: all together {distance:.2e} of their norm")
    for error, name in sorted(((error, name) for name, error in errors.items()), reverse=True)[:3]:
        print(f"  {error:.2e} of the largest element: {name}")
    print(f"  exported weights load into timm with strict=True; logits equal: {same}")
    return same and all(error <= TOLERANCE for error in errors.values()) and distance <= KINK_TOLERANCE


def main(program: str) -> int:
    return 0 if all([compare(program, kinks=False), compare(program, kinks=True)]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
