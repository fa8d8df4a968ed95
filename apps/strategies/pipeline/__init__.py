"""The way of a version to a portfolio: validate, backtest, risk, approval, activate (docs/strategies.md).

steps/ has a file for each step that computes, progress.py writes how far it is, behind a fence, job.py goes through
them.
"""
