"""Early stopping in PyTorch Lightning: three learning rates, each run to beat those before it. Needs lcx[lightning]."""

from tempfile import mkdtemp

import lightning.pytorch as pl  # pyright: ignore[reportMissingImports]
import torch

from lcx.integrations.lightning import LCXCallback

quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
x = torch.randn(1000, 20, generator=torch.Generator().manual_seed(0))
y = (x.sum(1) > 0).float()


class Classifier(pl.LightningModule):
    """Logistic regression on made-up data, from zero weights."""

    def __init__(self, rate):
        super().__init__()
        self.rate, self.weights = rate, torch.nn.Parameter(torch.zeros(20))

    def training_step(self, batch, index):
        """Loss of a batch."""
        return torch.nn.functional.binary_cross_entropy_with_logits(batch[0] @ self.weights, batch[1])

    def validation_step(self, batch, index):
        """Logs the loss."""
        self.log("val_loss", self.training_step(batch, index), sync_dist=True)

    def configure_optimizers(self):
        """Gradient descent."""
        return torch.optim.SGD(self.parameters(), self.rate)


train, validation = (torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*p), 100) for p in ((x[:500], y[:500]), (x[500:], y[500:])))
runs = mkdtemp()
for rate in (1.0, 0.001, 3.0):
    callback = LCXCallback("val_loss", "min", shared=runs, run=f"rate {rate}", bounds=(0, None), min_points=4)
    trainer = pl.Trainer(accelerator="cpu", max_epochs=30, callbacks=[callback], **quiet)
    trainer.fit(Classifier(rate), train, validation)
    print(f"rate {rate}: {trainer.current_epoch} epochs: {callback.stopping_reason_message or 'trained to the end'}")
