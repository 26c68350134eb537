#!/usr/bin/env python3
"""timm's BiT doing what `bit-bench step` does: forward, softmax loss, backward, SGD with momentum, on the CPU.

Its fastest settings are the defaults where the CPU has bf16 instructions: torch.compile, bf16 autocast, channels-last. Others
are fastest elsewhere: compare_step.py tries all of them. The optimizer is PyTorch's fused SGD.
"""
import timm
import torch
from step_peer import run, step_options
from timm_bit import bit_model, sgd


def main():
    parser = step_options(__doc__)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--contiguous", action="store_true", help="the usual layout instead of channels-last")
    options = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    layout = torch.contiguous_format if options.contiguous else torch.channels_last
    model = bit_model(options.model, options.classes).train().to(memory_format=layout)
    optimizer = sgd(model.parameters(), lr=0.001, momentum=0.9, weight_decay=1e-4)
    images = torch.randn(options.batch, 3, options.image_size, options.image_size).to(memory_format=layout)
    labels = torch.randint(options.classes, (options.batch,))
    network = model if options.no_compile else torch.compile(model)

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
            loss = torch.nn.functional.cross_entropy(network(images).float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    run(step, options, peer=f"timm {timm.__version__}", compiled=not options.no_compile, channels_last=not options.contiguous)


if __name__ == "__main__":
    main()
