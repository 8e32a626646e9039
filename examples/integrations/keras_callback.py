"""Early stopping in Keras 3: two learning rates against a value to beat. Needs lcx[keras]."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras  # pyright: ignore[reportMissingImports]
import numpy as np

from lcx.integrations.keras import LCXCallback

rng = np.random.default_rng(0)
x = rng.normal(size=(1000, 20)).astype("float32")
y = (x.sum(1) > 0).astype("float32")
for rate in (0.001, 1.0):
    model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(rate), keras.losses.BinaryCrossentropy(from_logits=True))
    callback = LCXCallback("val_loss", "min", best=0.15, bounds=(0, None), min_points=4, log_forecast=True)
    history = model.fit(x, y, batch_size=100, epochs=30, validation_split=0.5, callbacks=[callback], verbose=0).history
    print(f"rate {rate}: {len(history['loss'])} epochs: {callback.stopping_reason_message or 'trained to the end'}")
