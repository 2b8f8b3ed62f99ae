"""What hosts need of Fallline, one small file for each; importing this package imports none of them.

    record         what a report says, as rows for dashboards, and the protocol that their writers keep to
    tensorboard    a writer for TensorBoard
    wandb          a writer for Weights & Biases
    transformers   a factory for the Trainer, and callbacks that log the report, listen, and save averages
    lightning      callbacks that log the report, listen, and evaluate and save averages
    timm           names for create_optimizer_v2

Accelerate needs nothing: `accelerator.prepare(optimizer)` as with any other.
"""
