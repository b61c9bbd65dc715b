#!/bin/sh
# Every stage of the recipe in miniature: smoke.sh PYTHON FATHOM WORK. What it trains is worth nothing.
set -eu
python=$1 fathom=$2 work=$3
here=$(dirname "$0")
stage() {
    echo "== $*"
    script=$1
    shift
    "$python" "$here/$script" "$@"
}
newest() { ls "$work/$1"/step-*.pt | tail -n 1; }

rm -rf "$work"
mkdir -p "$work"
stage test_problems.py
BUILD=$(dirname "$fathom") stage test_tokenizer.py
stage tokenizer.py "$work/tokenizer" --samples 5000
stage sft.py --work "$work" --minutes 0.3 --tokens 2048 --log-every 5
stage sft.py --work "$work" --minutes 0.5 --tokens 2048 --log-every 2 --qat --decay 4
stage export.py "$(newest sft)" "$work/tokenizer" "$work/sft-model"
stage check_export.py "$work/sft-model" "$fathom" --untrained
stage grpo.py "$fathom" --work "$work" --steps 2 --questions 4 --group 4 --parts-asked 1 --room 32 --validate 11
stage export.py "$(newest grpo)" "$work/tokenizer" "$work/model"
stage evaluate.py "$work/model" "$fathom" --checkpoint "$(newest grpo)" --problems 11 --room 32 --out "$work/model.json"
stage compare.py "$work/sft-model" "$work/model" "$fathom" --problems 11 --out "$work/comparison.json"
# so small a model answers nothing right, and distillation learns from right answers alone: it is shown the worked ones
stage distill.py "$fathom" --work "$work" --pretrain 2 --rounds 2 --questions 11 --steps 2 --tokens 2048 --room 32 --evaluate 11 --worked
stage polish.py --work "$work" --steps 2 --tokens 512 --talk 4
stage student.py "$(newest distill)" "$work/tokenizer" "$work/student"
stage evaluate.py "$work/student" "$fathom" --problems 11 --room 32 --out "$work/student.json"
stage golden.py "$work/model" "$work/golden" --tasks 1
# a round from files of the shipped models' answers
"$python" "$here/off_policy.py" prompts 24 >"$work/prompts.jsonl"
"$fathom" rollout "$work/prompts.jsonl" --model "$here/../fathom-r1-mini" --samples 4 --max-tokens 400 >"$work/answers.jsonl"
stage off_policy.py learn "$here/../fathom-r1-mini" "$work/answers.jsonl" "$work/model-2" --groups 2
stage imitate.py "$here/../fathom-r1-mini-student" "$work/answers.jsonl" "$work/student-2" --steps 2 --tokens 2048 --log-every 1
stage export.py "$(newest grpo)" "$work/tokenizer" "$work/exact" --exact
"$python" "$here/worked.py" "$work/exact" 11 >"$work/worked.jsonl"
"$fathom" quantize "$work/exact" --study "$work/worked.jsonl" --tokens 500
stage curves.py --work "$work" --out "$work/curves"
echo "every stage ran"
