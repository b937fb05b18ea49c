#!/usr/bin/env bash
# One run of an agent that does what samocode asks, without a model: the
# scripted API hands it to the CLI as a Bash call.
set -eu
session=$SAMOCODE_SESSION_DIR
stamp=$(date +%m-%d-%H:%M)

signal() {
    printf '{"status":"%s","phase":"%s","summary":"%s"%s}\n' "$1" "$2" "$3" "${4:-}" >"$session/_signal.json.part"
    mv "$session/_signal.json.part" "$session/_signal.json"
}

case $SAMOCODE_PHASE in
init)
    signal continue investigation "Set up"
    ;;
investigation)
    echo "Nothing is here yet." >"$session/$stamp-dive-code.md"
    signal continue requirements "Looked at the code"
    ;;
requirements)
    if [ ! -f "$session/_qa.md" ]; then
        cat >"$session/_qa.md" <<'QA'
# Questions

### Q1: Where are tokens kept?
A. In an httpOnly cookie
B. In local storage
**Suggestion:** A - scripts cannot read it
**Answer:** _waiting_

### Q2: How long do they live?
A. One hour
B. One day
**Suggestion:** A - a stolen one is soon useless
**Answer:** _waiting_
QA
        signal waiting requirements "Asked two questions" ',"for":"qa_answers"'
    elif grep -q _waiting_ "$session/_qa.md"; then
        signal waiting requirements "Answers are missing" ',"for":"qa_answers"'
    else
        signal continue planning "Requirements are clear"
    fi
    ;;
planning)
    if compgen -G "$session/*-plan-*.md" >/dev/null; then
        signal continue implementation "The plan is approved"
    else
        printf '# Plan\n\n1. Write the file\n' >"$session/$stamp-plan-work.md"
        signal waiting planning "Planned" ',"for":"plan_approval"'
    fi
    ;;
implementation)
    echo "Work of $SAMOCODE_SESSION" >work.txt
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git add work.txt
        git commit -qm "Do the work" || true
    fi
    signal continue testing "Implemented"
    ;;
testing)
    signal continue quality "Tested"
    ;;
quality)
    signal continue "done" "Reviewed"
    ;;
done)
    signal "done" "done" "All is done"
    ;;
esac
