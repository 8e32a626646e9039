"""Early stopping in the Trainer of transformers: two learning rates against a value to beat. Needs lcx[transformers]."""

from tempfile import mkdtemp

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed  # pyright: ignore

from lcx.integrations.transformers import LCXCallback

tokens = torch.randint(2, 20, (600, 8), generator=torch.Generator().manual_seed(0))
examples = [{"input_ids": row, "labels": int((row < 11).sum() > 4)} for row in tokens]
config = BertConfig(vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
quiet = {"report_to": [], "disable_tqdm": True, "log_level": "error", "save_strategy": "no", "use_cpu": True}
for rate in (0.00001, 0.005):
    set_seed(0)
    callback = LCXCallback("eval_loss", "min", best=0.3, bounds=(0, None), min_points=4, log_forecast=True)
    plan = {"learning_rate": rate, "num_train_epochs": 20, "per_device_train_batch_size": 50, "eval_strategy": "epoch"}
    settings = TrainingArguments(mkdtemp(), **plan, **quiet)
    model = BertForSequenceClassification(config)
    Trainer(model, settings, train_dataset=examples[:400], eval_dataset=examples[400:], callbacks=[callback]).train()
    print(f"learning rate {rate}: {callback.stopping_reason_message or 'trained to the end'}")
