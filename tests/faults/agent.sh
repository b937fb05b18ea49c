#!/bin/sh
# The agent whose runs are broken: one commit per iteration, testing and
# quality in turn, and notes in ~/notes/SESSION of what it did, so that the files
# of the session can be compared with them.
set -u
# A process that outlives its parent, unless someone ends it.
setsid sleep 3600 </dev/null >/dev/null 2>&1 &
sleep 0.4

number=$SAMOCODE_ITERATION
if [ -z "$(git log --format=%s --grep="^iteration $number\$")" ]; then
    echo "$number" >>"$SAMOCODE_SESSION.txt"
    git add . && git commit -qm "iteration $number" || exit 1
fi

status='continue'
case $SAMOCODE_PHASE in
testing) next=quality ;;
quality) next=testing ;;
*) next='done' status='done' ;;
esac
[ -e "$HOME/finish" ] && next='done'
printf '{"status":"%s","phase":"%s","summary":"iteration %s"}\n' "$status" "$next" "$number" \
    >"$SAMOCODE_SESSION_DIR/_signal.json.part"
mv "$SAMOCODE_SESSION_DIR/_signal.json.part" "$SAMOCODE_SESSION_DIR/_signal.json"
echo "$SAMOCODE_RUN" >>"$HOME/notes/$SAMOCODE_SESSION/signals"
