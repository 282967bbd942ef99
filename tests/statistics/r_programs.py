"""R as a second source: run where it is installed, stored numbers elsewhere."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.statistics.conftest import simulated_table

PROC = """
suppressMessages(library(pROC)); d <- read.csv("table.csv")
a <- roc(d$reference, d$A, quiet = TRUE, direction = "<")
b <- roc(d$reference, d$B, quiet = TRUE, direction = "<")
test <- roc.test(b, a, paired = TRUE, method = "delong")
cat(sprintf("%.15g\\n", c(auc(a), auc(b), var(a), var(b), cov(a, b), test$statistic, test$p.value)))
"""
PROC_INTERVAL = """
suppressMessages(library(pROC)); d <- read.csv("table.csv")
found <- ci(roc(d$reference, d$score, quiet = TRUE, direction = "<"), method = "delong")
cat(sprintf("%.15g\\n", as.numeric(found)))
"""
COIN = """
suppressMessages(library(coin)); d <- read.csv("table.csv"); d$group <- factor(d$group)
for (alternative in c("two.sided", "greater", "less")) {
  mean_test <- oneway_test(score ~ group, d, distribution = "exact", alternative = alternative)
  rank_test <- wilcox_test(score ~ group, d, distribution = "exact", alternative = alternative)
  cat(sprintf("%.15g\\n", c(pvalue(mean_test), pvalue(rank_test))))
}
"""
LMER = """
suppressMessages(library(lmerTest)); d <- read.csv("table.csv")
d$run <- factor(paste(d$method, d$run)); d$case <- factor(d$case); d$method <- factor(d$method)
model <- lmer(score ~ method + (1 | case) + (1 | run) + (1 | method:case), d,
              control = lmerControl(optCtrl = list(ftol_abs = 1e-14, xtol_abs = 1e-14)))
cat(sprintf("%.15g\\n", coef(summary(model))[2, 1:2]))
"""


def r_numbers(program: str, table: pd.DataFrame, folder: Path, *packages: str) -> list[float]:
    """Numbers an R program prints about a table; the test skips where R or a package is not installed."""
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed")
    loads = "; ".join(f"library({package})" for package in packages)
    if subprocess.run(["Rscript", "-e", loads], capture_output=True, check=False).returncode:
        pytest.skip(f"R lacks one of {', '.join(packages)}")
    table.to_csv(folder / "table.csv", index=False)
    (folder / "program.R").write_text(program)
    done = subprocess.run(["Rscript", "program.R"], cwd=folder, capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


def paired_ratings() -> pd.DataFrame:
    """Two runs on 50 cases with ties: columns reference, A, B."""
    table = simulated_table(np.random.default_rng(7), [1, 1])
    wide = table.pivot_table(index="case", columns="method", values="score", sort=False)
    reference = table.drop_duplicates("case").set_index("case")["reference"]
    return pd.DataFrame({"reference": reference, "A": wide["A"].round(1), "B": wide["B"].round(1)})


def nearly_perfect_scores() -> pd.DataFrame:
    """One run on eight cases: its AUROC and one and a half standard errors are more than 1."""
    return pd.DataFrame(
        {
            "method": "A",
            "run": "0",
            "case": range(8),
            "reference": [0, 0, 0, 0, 1, 1, 1, 1],
            "score": [0.1, 0.2, 0.3, 0.75, 0.7, 0.8, 0.9, 0.95],
        }
    )


def run_scores() -> pd.DataFrame:
    """Six runs of A and five of B, with a tie."""
    score = [0.912, 0.904, 0.921, 0.899, 0.917, 0.908, 0.901, 0.895, 0.910, 0.889, 0.904]
    return pd.DataFrame({"group": ["A"] * 6 + ["B"] * 5, "score": score})


def overlap_table() -> pd.DataFrame:
    """Per-case values of two methods with four runs each on 25 cases."""
    rng = np.random.default_rng(11)
    case = 0.85 + 0.06 * rng.normal(size=25)
    rows = []
    for method in "AB":
        of_method = case + 0.02 * rng.normal(size=25) + 0.01 * (method == "B")
        for run in range(4):
            score = of_method + 0.01 * rng.normal() + 0.02 * rng.normal(size=25)
            rows += [(method, str(run), f"c{k}", score[k]) for k in range(25)]
    return pd.DataFrame(rows, columns=["method", "run", "case", "score"])
