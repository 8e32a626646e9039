"""Text logs, each as its tool lays out the lines, with numbers of our own."""

import math

import numpy as np
import pytest

from lcx.readers import read, recognise

NANOGPT = """number of parameters: 0.80M
step 0: train loss 4.2874, val loss 4.2823
iter 0: loss 4.2664, time 20.31ms, mfu -100.00%
iter 1: loss 3.9, time 8.20ms, mfu -100.00%
step 2: train loss 2.1, val loss 2.4
saving checkpoint to out
iter 2: loss 2.0, time 8.20ms, mfu 3.12%
"""
MODDED = """import os
args = Hyperparameters()
    val_loss_every : int = 125
    weight_decay : float = 0
step = 0
====================
step:0/4875 val_loss:10.82 train_time:0ms step_avg:nanms
step:1/4875 train_time:93ms step_avg:93.00ms
step:125/4875 val_loss:4.4032 train_time:23124ms step_avg:185.00ms
step:250/4875 val_loss:3.9e+00 train_time:46124ms step_avg:184.50ms
"""
LLMC = """step    1/32768 | loss 11.009 (+nanz)| norm 15.50 (+nanz)| lr 4.29e-07 | 1234.00 ms | 53.2% bf16 MFU | 425123 tok/s
step    2/32768 | loss 10.900 (0.10z)| norm 14.50 (+nanz)| lr 8.58e-07 | 1230.00 ms | 53.3% bf16 MFU | 425124 tok/s
val loss 9.5
step    3/32768 | loss 10.100 (0.10z)| norm 13.50 (+nanz)| lr 8.58e-07 | 1230.00 ms | 53.3% bf16 MFU | 425124 tok/s
val loss 9.1
"""
LLMC_MAIN = "s:0 tel:10.9\ns:1 trl:10.8 lr:1e-4 norm:3.1\ns:250 tel:4.1\ns:251 trl:4.0 lr:1e-4 norm:3.0\n"
MEGATRON = """ > building indices 3
 iteration      100/  500000 | consumed samples:        25600 | elapsed time per iteration (ms): 1234.5 | learning rate: 1.500E-04 | \
global batch size:   256 | lm loss: 2.300000E+00 | loss scale: 1.0 | grad norm: 1.2 | number of skipped iterations:   0 |
 iteration      200/  500000 | consumed samples:        51200 | elapsed time per iteration (ms): 1230.5 | learning rate: 1.500E-04 | \
global batch size:   256 | lm loss: 2.100000E+00 | loss scale: 1.0 | grad norm: 1.1 | number of skipped iterations:   0 |
 validation loss at iteration 200 | lm loss value: 2.150000E+00 | lm loss PPL: 8.584858E+00 |
 iteration      300/  500000 | consumed samples:        76800 | lm loss: 2.000000E+00 |
 validation loss at iteration 300 | lm loss value: 2.050000E+00 | lm loss PPL: 7.767901E+00 |
"""
NNUNET = """2023-05-01 12:00:00.123456:
2023-05-01 12:00:00.123456: Epoch 0
2023-05-01 12:00:00.123456: Current learning rate: 0.01
2023-05-01 12:01:00.123456: train_loss -0.1
2023-05-01 12:01:00.123456: val_loss -0.2
2023-05-01 12:01:00.123456: Pseudo dice [np.float32(0.4), np.float32(0.6)]
2023-05-01 12:01:00.123456: Epoch time: 45.6 s
2023-05-01 12:01:00.123456: Yayy! New best EMA pseudo Dice: 0.5
2023-05-01 12:01:00.123456: Epoch 1
2023-05-01 12:02:00.123456: Current learning rate: 0.009
2023-05-01 12:02:00.123456: train_loss -0.3
2023-05-01 12:02:00.123456: val_loss -0.4
2023-05-01 12:02:00.123456: Pseudo dice [0.6, 0.8]
"""
MMDET = """2023-01-01 12:00:00,123 - mmdet - INFO - Epoch [1][50/100]\tlr: 1.0e-02, eta: 1:00:00, time: 0.3, memory: 3000, \
loss_cls: 0.9, loss: 2.0
2023-01-01 12:00:10,123 - mmdet - INFO - Epoch [1][100/100]\tlr: 1.0e-02, eta: 0:50:00, time: 0.3, memory: 3000, \
loss_cls: 0.8, loss: 1.8
2023-01-01 12:00:20,123 - mmdet - INFO - Epoch(val) [1][500]\tbbox_mAP: 0.1230, bbox_mAP_50: 0.3
2023-01-01 12:00:30,123 - mmdet - INFO - Epoch [2][50/100]\tlr: 1.0e-02, eta: 0:40:00, time: 0.3, loss_cls: 0.7, loss: 1.6
2023-01-01 12:00:40,123 - mmdet - INFO - Epoch(val) [2][500]\tbbox_mAP: 0.2230, bbox_mAP_50: 0.4
"""
MMENGINE = """2023/01/01 12:00:00 - mmengine - INFO - Iter(train) [   50/90000]  lr: 1.0e-02  eta: 1 day, 1:00:00  time: 0.3  loss: 2.0
2023/01/01 12:00:10 - mmengine - INFO - Iter(train) [  100/90000]  base_lr: 1.0e-02 lr: 1.0e-02  eta: 0:50:00  time: 0.3  loss: 1.8
2023/01/01 12:00:20 - mmengine - INFO - Iter(val) [50/100]    eta: 0:00:10  time: 0.1  data_time: 0.01  memory: 900
2023/01/01 12:00:30 - mmengine - INFO - Iter(val) [100/100]    aAcc: 60.1000  mIoU: 30.5000  data_time: 0.01  time: 0.1
2023/01/01 12:00:40 - mmengine - INFO - Iter(train) [  150/90000]  lr: 1.0e-02  loss: 1.7
2023/01/01 12:00:30 - mmengine - INFO - Iter(val) [100/100]    aAcc: 61.1000  mIoU: 31.5000  data_time: 0.01  time: 0.1
"""
MMENGINE_EPOCH = """2023/01/01 12:00:00 - mmengine - INFO - Epoch(train)  [1][  50/100]  lr: 1.0e-02  time: 0.3  loss: 2.0
2023/01/01 12:00:00 - mmengine - INFO - Epoch(val)  [1][40/40]    coco/bbox_mAP: 0.12  time: 0.3
2023/01/01 12:00:00 - mmengine - INFO - Epoch(train)  [2][ 100/100]  lr: 1.0e-02  time: 0.3  loss: 1.0
2023/01/01 12:00:00 - mmengine - INFO - Epoch(val)  [2][40/40]    coco/bbox_mAP: 0.22  time: 0.3
"""
PADDLE = """[2022/08/01 12:00:00] ppocr INFO: Architecture :
[2022/08/01 12:00:00] ppocr INFO:     Backbone :
[2022/08/01 12:00:00] ppocr INFO: epoch: [1/500], global_step: 10, lr: 0.001, acc: 0.1, loss: 12.3, avg_reader_cost: 0.1 s, \
avg_samples: 16.0, ips: 32.1 samples/s, eta: 1:00:00
[2022/08/01 12:00:10] ppocr INFO: cur metric, acc: 0.5, norm_edit_dis: 0.7, fps: 1000.1
[2022/08/01 12:00:10] ppocr INFO: best metric, acc: 0.5, is_float16: False, norm_edit_dis: 0.7, fps: 1000.1, best_epoch: 1
[2022/08/01 12:00:20] ppocr INFO: epoch: [2/500], global_step: 20, lr: 0.001, acc: 0.2, loss: 10.3, avg_reader_cost: 0.1 s
[2022/08/01 12:00:30] ppocr INFO: cur metric, acc: 0.6, norm_edit_dis: 0.8, fps: 1000.1
"""
FAIRSEQ = """2021-01-01 12:00:00 | INFO | fairseq_cli.train | num. model params: 60526592
2021-01-01 12:00:00 | INFO | train_inner | epoch 001:    100 / 200 loss=6.1, nll_loss=5.2, ppl=36.8, wps=100, num_updates=100, lr=0.1
2021-01-01 12:00:00 | INFO | valid | epoch 001 | valid on 'valid' subset | loss 5.1 | nll_loss 4.2 | ppl 18.4 | num_updates 200
2021-01-01 12:00:00 | INFO | train | epoch 001 | loss 5.6 | nll_loss 4.9 | num_updates 200 | lr 0.1 | train_wall 10 | wall 20
2021-01-01 12:00:00 | INFO | train_inner | epoch 002:    100 / 200 loss=5.5, nll_loss=4.2, ppl=18.4, wps=100, num_updates=300, lr=0.1
2021-01-01 12:00:00 | INFO | valid | epoch 002 | valid on 'valid' subset | loss 4.1 | nll_loss 3.2 | ppl 9.2 | num_updates 400
2021-01-01 12:00:00 | INFO | train | epoch 002 | loss 4.6 | nll_loss 3.9 | num_updates 400 | lr 0.1 | train_wall 10 | wall 40
"""
FAIRSEQ_JSON = """2021-01-01 12:00:00 | INFO | train_inner | {"epoch": 1, "update": 0.1, "loss": "6.1", "num_updates": "100", "lr": "0.1"}
2021-01-01 12:00:00 | INFO | valid | {"epoch": 1, "valid_loss": "5.1", "valid_ppl": "18.4", "valid_num_updates": "200"}
2021-01-01 12:00:00 | INFO | train_inner | {"epoch": 2, "update": 1.1, "loss": "5.1", "num_updates": "300", "lr": "0.1"}
2021-01-01 12:00:00 | INFO | valid | {"epoch": 2, "valid_loss": "4.1", "valid_ppl": "9.4", "valid_num_updates": "400"}
"""
HUGGING_FACE = """ 10%|#         | 10/100 [00:10<01:30,  1.00it/s]
{'loss': 2.3, 'grad_norm': 1.5, 'learning_rate': 5e-05, 'epoch': 0.5}
{'loss': nan, 'grad_norm': 1.5, 'learning_rate': 4e-05, 'epoch': 1.0}
{'eval_loss': 2.1, 'eval_runtime': 1.0, 'eval_samples_per_second': 9.0, 'epoch': 1.0}
{'loss': 1.9, 'grad_norm': 1.4, 'learning_rate': 1e-05, 'epoch': 1.5}
{'eval_loss': 2.0, 'eval_runtime': 1.0, 'eval_samples_per_second': 9.0, 'epoch': 2.0}
{'train_runtime': 20.0, 'train_steps_per_second': 1.0, 'train_loss': 2.2, 'epoch': 2.0}
"""
KERAS = """Epoch 1/10
\r  1/100 [..............................] - ETA: 10s - loss: 2.5000\r100/100 [====] - 5s 3ms/step - loss: 0.5000 - val_loss: 0.6
Epoch 00001: val_loss improved from inf to 0.6, saving model to x.h5
Epoch 2/10
100/100 [====] - 5s 3ms/step - loss: 0.4000 - val_loss: 0.55
"""
MNIST = """Train Epoch: 1 [0/60000 (0%)]\tLoss: 2.300000
Train Epoch: 1 [30000/60000 (50%)]\tLoss: 1.100000

Test set: Average loss: 0.0500, Accuracy: 9800/10000 (98%)

Train Epoch: 2 [30000/60000 (50%)]\tLoss: 0.900000

Test set: Average loss: 0.0400, Accuracy: 9900/10000 (99%)
"""
IMAGENET = """Epoch: [0][  10/100]\tTime  0.500 ( 1.200)\tLoss 6.9000e+00 (7.0e+00)\tAcc@1   0.10 (  0.1)\tAcc@5   0.50 (  0.4)
 * Acc@1 5.000 Acc@5 16.000
Epoch: [1][  10/100]\tTime  0.500 ( 1.200)\tLoss 5.9000e+00 (7.0e+00)\tAcc@1   1.10 (  0.1)\tAcc@5   2.50 (  0.4)
 * Acc@1 8.000 Acc@5 20.000
"""
OWN = """[12:01:05] Epoch 1/20, Batch 50/100, Loss: 0.9, Accuracy: 51.5%
Epoch 1/20 finished: train loss = 0.8, val loss = 0.85
Epoch 2/20, Batch 50/100, Loss: 0.7, Accuracy: 61.5%
Epoch 2/20 finished: train loss = 0.6, val loss = 0.65
"""
COCO = """Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.818
""".join(MMDET.splitlines(keepends=True))
TWO_IN_A_LINE = """Epoch  1 | Train Loss: 0.4 Acc: 0.88 | Test Loss: 0.15 Acc: 0.95
New best accuracy: 0.95
Epoch  2 | Train Loss: 0.2 Acc: 0.95 | Test Loss: 0.10 Acc: 0.96
"""
TWO_LINES = """Epoch 1/3 - Train Loss: 0.5, mIoU: 0.41
           Val   Loss: 0.6, mIoU: 0.40
Epoch 2/3 - Train Loss: 0.4, mIoU: 0.51
           Val   Loss: 0.5, mIoU: 0.53
"""
KERAS_3 = """Epoch 1/5
\x1b[1m422/422\x1b[0m \x1b[32m━━━\x1b[0m\x1b[37m\x1b[0m \x1b[1m1s\x1b[0m 3ms/step - loss: 0.9\x08\x08\r\x1b[1m422/422\x1b[0m 47s \
108ms/step - accuracy: 0.86 - loss: 0.49 - val_loss: 0.058
Epoch 2/5
\x1b[1m422/422\x1b[0m ━━━ \x1b[1m47s\x1b[0m 108ms/step - accuracy: 0.98 - loss: 6.2e-02 - val_loss: 0.042
"""
XGBOOST = "".join(f"[{i}]\ttrain-rmse:{0.5 - i / 10:.5f}\teval-rmse:{0.6 - i / 10:.5f}\n" for i in range(3))
LIGHTGBM = (
    "[LightGBM] [Info] Total Bins 6132\n[10]\ttraining's l2: 0.24\tvalid_1's auc: 0.7\n[20]\ttraining's l2: 0.22\tvalid_1's auc: 0.8\n"
)
CATBOOST = "0:\tlearn: 0.69\ttest: 0.68\tbest: 0.68 (0)\ttotal: 60ms\tremaining: 1m\n1:\tlearn: 0.5\ttest: 0.6\tbest: 0.6 (1)\ttotal: 9ms\n"
SB3 = """Using cpu device
---------------------------------
| rollout/           |          |
|    ep_len_mean     | 22       |
|    ep_rew_mean     | 22.5     |
| time/              |          |
|    iterations      | 1        |
|    total_timesteps | 2048     |
---------------------------------
---------------------------------
| rollout/           |          |
|    ep_len_mean     | 25       |
|    ep_rew_mean     | 26       |
| time/              |          |
|    iterations      | 2        |
|    total_timesteps | 4096     |
---------------------------------
"""
SPINUP = "".join(
    f"---------------------------------------\n|             Epoch |{epoch:16d} |\n|      AverageEpRet |{20 + epoch:16.3g} |\n"
    f"| TotalEnvInteracts |{4000 * epoch + 4000:16.3g} |\n---------------------------------------\n"
    for epoch in (0, 1)
)
WITHIN = "".join(f"INFO:__main__:Epoch {e} | Step {i:4d}/100 | Loss: {2 - e - i / 100:.2f}\n" for e in (0, 1) for i in (0, 49, 99))
GOES_ON = "".join(f"Epoch {e} - step {50 * e + i}/150 - loss: {2 - e - i / 100:.2f}\n" for e in (0, 1, 2) for i in (25, 50))
TIMM = """Train: 0 [  50/100 ( 50%)]  Loss: 6.90 (6.92)  Time: 0.3s, 800.1/s  LR: 1.0e-06  Data: 0.1 (0.2)
Test: [  48/48]  Time: 0.1 (0.2)  Loss:   5.90 ( 6.00)  Acc@1:  1.50 ( 1.20)  Acc@5:  4.0 ( 5.0)
Train: 1 [  50/100 ( 50%)]  Loss: 5.90 (5.92)  Time: 0.3s, 800.1/s  LR: 1.0e-06  Data: 0.1 (0.2)
Test: [  48/48]  Time: 0.1 (0.2)  Loss:   4.90 ( 5.00)  Acc@1:  9.50 ( 9.20)  Acc@5:  14.0 ( 15.0)
"""
DETECTRON = "".join(
    f"[11/07 14:28:5{i}] d2.utils.events INFO:  eta: 1:25:50  iter: {20 * i + 19}  total_loss: {3 - i}  lr: 1e-4\n" for i in (0, 1)
)
SENTENCES = """Starting epoch 0 current lr is 0.001
Epoch 0, val loss is 0.047, val mse is 2.4e-2.
Starting epoch 1 current lr is 0.001
Epoch 1, val loss is 0.037, val mse is 1.4e-2.
"""

LOGS = {
    "nanogpt": (NANOGPT, {"loss": {1: 4.2664, 2: 3.9, 3: 2.0}, "val loss": {1: 4.2823, 3: 2.4}, "train loss": {1: 4.2874, 3: 2.1}}, None),
    "modded-nanogpt": (MODDED, {"val_loss": {1: 10.82, 126: 4.4032, 251: 3.9}}, 4875),
    "llm.c": (LLMC, {"loss": {1: 11.009, 2: 10.9, 3: 10.1}, "val loss": {2: 9.5, 3: 9.1}}, 32768),
    "llm.c main.log": (LLMC_MAIN, {"tel": {1: 10.9, 251: 4.1}, "trl": {2: 10.8, 252: 4.0}}, None),
    "megatron": (MEGATRON, {"lm loss": {100: 2.3, 200: 2.1, 300: 2.0}, "lm loss value": {200: 2.15, 300: 2.05}}, 500000),
    "nnunet": (NNUNET, {"train_loss": {1: -0.1, 2: -0.3}, "val_loss": {1: -0.2, 2: -0.4}, "Pseudo dice": {1: 0.5, 2: 0.7}}, None),
    "mmdet": (MMDET, {"loss": {0.5: 2.0, 1: 1.8, 1.5: 1.6}, "bbox_mAP": {1: 0.123, 2: 0.223}, "bbox_mAP_50": {1: 0.3, 2: 0.4}}, None),
    "mmengine": (MMENGINE, {"loss": {50: 2.0, 100: 1.8, 150: 1.7}, "mIoU": {100: 30.5, 150: 31.5}}, 90000),
    "mmengine by epoch": (MMENGINE_EPOCH, {"loss": {0.5: 2.0, 2: 1.0}, "coco/bbox_mAP": {1: 0.12, 2: 0.22}}, None),
    "paddleocr": (PADDLE, {"loss": {10: 12.3, 20: 10.3}, "acc": {10: 0.1, 20: 0.2}, "eval/acc": {10: 0.5, 20: 0.6}}, None),
    "fairseq": (
        FAIRSEQ,
        {"train_inner/loss": {100: 6.1, 300: 5.5}, "valid/loss": {200: 5.1, 400: 4.1}, "train/loss": {200: 5.6, 400: 4.6}},
        None,
    ),
    "fairseq json": (FAIRSEQ_JSON, {"loss": {100: 6.1, 300: 5.1}, "valid_loss": {200: 5.1, 400: 4.1}}, None),
    "hugging face": (HUGGING_FACE, {"loss": {0.5: 2.3, 1: math.nan, 1.5: 1.9}, "eval_loss": {1: 2.1, 2: 2.0}}, None),
    "keras": (KERAS, {"loss": {1: 0.5, 2: 0.4}, "val_loss": {1: 0.6, 2: 0.55}}, 10),
    "pytorch mnist": (MNIST, {"Loss": {0: 2.3, 0.5: 1.1, 1.5: 0.9}, "Accuracy": {1: 0.98, 2: 0.99}}, None),
    "pytorch imagenet": (IMAGENET, {"Loss": {0.1: 6.9, 1.1: 5.9}, "Acc@1": {0.1: 0.1, 1.1: 1.1}, "val/Acc@1": {1: 5, 2: 8}}, None),
    "tables of coco": (COCO, {"bbox_mAP": {1: 0.123, 2: 0.223}}, None),
    "two in a line": (
        TWO_IN_A_LINE,
        {"train/Acc": {1: 0.88, 2: 0.95}, "test/Acc": {1: 0.95, 2: 0.96}, "Test Loss": {1: 0.15, 2: 0.1}},
        None,
    ),
    "two lines": (TWO_LINES, {"train/mIoU": {1: 0.41, 2: 0.51}, "val/mIoU": {1: 0.4, 2: 0.53}, "Val Loss": {1: 0.6, 2: 0.5}}, 3),
    "keras 3": (KERAS_3, {"loss": {1: 0.49, 2: 0.062}, "val_loss": {1: 0.058, 2: 0.042}}, 5),
    "xgboost": (XGBOOST, {"train-rmse": {1: 0.5, 2: 0.4, 3: 0.3}, "eval-rmse": {1: 0.6, 2: 0.5, 3: 0.4}}, None),
    "lightgbm": (LIGHTGBM, {"training's l2": {10: 0.24, 20: 0.22}, "valid_1's auc": {10: 0.7, 20: 0.8}}, None),
    "catboost": (CATBOOST, {"learn": {1: 0.69, 2: 0.5}, "test": {1: 0.68, 2: 0.6}}, None),
    "sb3": (SB3, {"rollout/ep_rew_mean": {2048: 22.5, 4096: 26}, "rollout/ep_len_mean": {2048: 22, 4096: 25}}, None),
    "spinning up": (SPINUP, {"AverageEpRet": {4000: 20, 8000: 21}}, None),
    "steps within epochs": (WITHIN, {"Loss": {0.01: 2, 0.5: 1.51, 1: 1.01, 1.01: 1, 1.5: 0.51, 2: 0.01}}, None),
    "steps over all epochs": (GOES_ON, {"loss": {25: 1.75, 50: 1.5, 75: 0.75, 100: 0.5, 125: -0.25, 150: -0.5}}, 150),
    "timm": (TIMM, {"train/Loss": {0.5: 6.9, 1.5: 5.9}, "test/Loss": {1: 5.9, 2: 4.9}, "Acc@1": {1: 1.5, 2: 9.5}}, None),
    "detectron2": (DETECTRON, {"total_loss": {19: 3, 39: 2}}, None),
    "sentences": (SENTENCES, {"val loss": {1: 0.047, 2: 0.037}, "val mse": {1: 0.024, 2: 0.014}}, None),
    "own": (OWN, {"Loss": {0.5: 0.9, 1.5: 0.7}, "val loss": {1: 0.85, 2: 0.65}, "Accuracy": {0.5: 51.5, 1.5: 61.5}}, 20),
}


@pytest.mark.parametrize("tool", LOGS)
def test_lines_of(log, curve, tmp_path, tool):
    text, metrics, horizon = LOGS[tool]
    table = log("train.log", text)
    assert recognise(tmp_path / "train.log") == "text"
    for metric, points in metrics.items():
        np.testing.assert_equal({round(step, 3): round(value, 9) for step, value in curve(table, metric).items()}, points)
    assert table.attrs.get("horizon", {}) == ({} if horizon is None else {"train.log": horizon})
    assert "best" not in str(set(table["metric"])).lower()


def test_source_code_and_prose_are_no_metrics(log):
    assert set(log("train.log", MODDED)["metric"]) <= {"val_loss", "train_time", "step_avg"}
    for text in (KERAS, KERAS_3):
        assert set(log("train.log", text)["metric"]) <= {"loss", "val_loss", "accuracy"}
    assert not {"IoU", "maxDets"} & set(log("train.log", COCO)["metric"])


def test_a_counter_from_zero_up_to_the_total_has_one_step_more(log, curve):
    table = log("train.log", "".join(f"step:{step}/20 val_loss:{4 - step / 10}\n" for step in (0, 10, 20)))
    assert curve(table, "val_loss") == {1: 4, 11: 3, 21: 2}
    assert table.attrs["horizon"] == {"train.log": 21}


def test_a_log_below_the_source_of_its_program(log, curve):
    code = "# Step 1: prepare\n# step 2: loss=0.5, dim=-1\nprint(f'step:{step}/{steps} loss:{loss:.4f}', beta=0.9)\n"
    text = code + "".join(f"x{i} = {i}\n" for i in range(9000)) + MODDED
    assert set(log("run.txt", text)["metric"]) <= {"val_loss", "train_time", "step_avg"}
    assert curve(log("run.txt", text), "val_loss") == {1: 10.82, 126: 4.4032, 251: 3.9}


@pytest.mark.parametrize("text", ["no log at all\n", "torch==2.0\nnumpy>=1.26\n", "Step 1/9 : FROM x\nStep 2/9 : RUN y\n", "epoch 3\n"])
def test_other_text_is_no_log(tmp_path, text):
    (tmp_path / "x.txt").write_text(text)
    assert recognise(tmp_path / "x.txt") is None
    with pytest.raises(ValueError, match="expected"):
        read(tmp_path / "x.txt", "text")
