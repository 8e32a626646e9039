"""What the name of a metric tells: direction and limits, as the tools of the field write their names."""

import json
from pathlib import Path

import pytest

from lcx.readers import metric_names
from lcx.readers.metric_names import bounds_of, direction_of

SMALLER = """loss val_loss train/loss valid/loss_total eval_loss train/box_loss loss_dice dice_loss loss_giou valLoss valloss Loss_val
losses error top5_err merror validation-error-rate perplexity val_ppl rmse test/RMSE mse mae wer eval_wer cer nll bpb val_bpb bits_per_byte
logloss mlogloss valid_0/binary_logloss cross_entropy_loss l2 mean_squared_error rollout/reward_loss iou_error log_likelihood_loss
policy_gradient_loss learn/Logloss fid"""
LARGER = """accuracy eval_accuracy val_acc acc1 valAcc test/Accuracy sparse_categorical_accuracy top1 acc_norm f1 eval_f1_macro F1-score
macro_avg/f1-score AUC val_roc_auc auroc map mAP50-95 metrics/mAP50(B) metrics/mAP50-95(B) coco/bbox_mAP_50 bbox/AP75 bbox/APs mIoU
miou iou val/iou_mean dice mean_dice eval_bleu sacrebleu rouge1 eval_rougeL rougeLsum reward episode_reward_mean rollout/ep_rew_mean
eprewmean AverageEpRet episode_return env_runners/episode_return_mean success_rate rollout/success_rate metrics/precision(B) recall@10
recall r2 val_r2 explained_variance loss/accuracy l1_accuracy log_likelihood spearmanr matthews_correlation
neg_mean_squared_error test_neg_log_loss val/neg_root_mean_squared_error neg_brier_score neg_mean_poisson_deviance neg_RMSE"""
ASKED = """score val_score ep_len_mean rollout/ep_len_mean loss_scale train/reward_std StdEpRet loss_weight grad_norm entropy kl metric
value temperature neg_loss cls/neg_error negative_accuracy neg_log_likelihood x learning_rate lr/pg0 num_correct 0"""


@pytest.mark.parametrize(("names", "mode"), [(SMALLER, "min"), (LARGER, "max"), (ASKED, None)], ids=["smaller", "larger", "asked"])
def test_direction_by_name(names, mode):
    assert {name: direction_of(name) for name in names.split()} == dict.fromkeys(names.split(), mode)


@pytest.mark.parametrize(
    ("name", "values", "bounds"),
    [
        ("val_acc", [0.1, 0.97], (0, 1)),
        ("val_acc", [0.0, 1.0], (0, 1)),
        ("val_acc", [10.0, 97.3], (0, 100)),
        ("val_acc", [10.0, 130.0], (None, None)),
        ("val_acc", [-0.1, 0.3], (None, None)),
        ("val_acc", [float("nan"), 0.3, float("inf")], (0, 1)),
        ("val_acc", [float("nan")], (None, None)),
        ("loss", [2.3, 0.4], (0, None)),
        ("loss", [0.3, -0.4], (None, None)),
        ("top5_err", [0.3, 0.2], (0, None)),
        ("r2", [-2.0, 0.5], (None, 1)),
        ("pearson", [-0.2, 0.5], (-1, 1)),
        ("ep_rew_mean", [0.2, 0.5], (None, None)),
        ("score", [0.2, 0.5], (None, None)),
        ("neg_mean_squared_error", [-3.0, -0.5], (None, 0)),
        ("neg_mean_squared_error", [3.0, 0.5], (None, None)),
    ],
)
def test_bounds_by_name_and_values(name, values, bounds):
    assert bounds_of(name, values) == bounds


def test_the_list_names_each_word_once_in_small_letters():
    names = json.loads(Path(metric_names.__file__).with_suffix(".json").read_text())
    words = [word for kind in names["kinds"].values() for word in kind["words"]] + names["unclear"]
    assert len(words) == len(set(words))
    assert all(word.isalnum() and word == word.lower() for word in words)
    assert set(names["deciding"]) <= set(names["kinds"]["loss"]["words"])
