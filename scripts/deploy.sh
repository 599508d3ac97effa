#!/bin/sh
# Deploys both apps to Fly: checks first, changes nothing until every check has passed.
#   scripts/deploy.sh [--check]     --check stops after the checks
# LOBBY_APP, GAME_APP and FLY_ORG name the apps and the organisation, where they differ from the files.
set -eu
cd "$(dirname "$0")/.."

app_of() { sed -n 's/^app = "\(.*\)"/\1/p' "$1"; }
LOBBY_APP=${LOBBY_APP:-$(app_of fly.toml)}
GAME_APP=${GAME_APP:-$(app_of net/fly.toml)}
FLY_ORG=${FLY_ORG:-personal}
FAILED=0

say() { printf '\033[1m==>\033[0m %s\n' "$1"; }
ok() { printf '  ok    %s\n' "$1"; }
bad() {
    printf '  NOT   %s\n        %s\n' "$1" "$2" >&2
    FAILED=1
}

# One line a secret; values are never shown by flyctl.
secrets_of() { fly secrets list --app "$1" 2>/dev/null | tr -d '*│|' | awk '{print $1}'; }

need_secret() { # app, secret, how to get it
    if secrets_of "$1" | grep -qx "$2"; then ok "$1 has the secret $2"; else bad "$1 has no secret $2" "$3"; fi
}

# Both names of flyctl are in use; what follows says `fly`.
if ! command -v fly >/dev/null 2>&1; then
    if ! command -v flyctl >/dev/null 2>&1; then
        bad 'flyctl is not installed' 'See https://fly.io/docs/flyctl/install/'
        exit 1
    fi
    fly() { flyctl "$@"; }
fi

say 'Checking'
if WHO=$(fly auth whoami 2>/dev/null); then
    ok "logged in as $WHO"
else
    bad 'nobody is logged in' 'fly auth login'
    exit 1
fi

APPS_MISSING=0
for app in "$LOBBY_APP" "$GAME_APP"; do
    if fly status --app "$app" >/dev/null 2>&1; then
        ok "the app $app exists"
    else
        bad "there is no app $app" "fly apps create $app --org $FLY_ORG   (the game may get --network of its own)"
        APPS_MISSING=1
    fi
done

if [ "$APPS_MISSING" = 0 ]; then
    SECRET_HINT="fly secrets set --stage --app APP AERODROME_SECRET=...   (16 characters or more, the same on both apps)"
    need_secret "$LOBBY_APP" AERODROME_SECRET "$SECRET_HINT"
    need_secret "$GAME_APP" AERODROME_SECRET "$SECRET_HINT"
    need_secret "$LOBBY_APP" FLY_API_TOKEN \
        "fly secrets set --stage --app $LOBBY_APP FLY_API_TOKEN=\"\$(fly tokens create deploy --app $GAME_APP)\""
    for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; do
        need_secret "$GAME_APP" "$name" "fly storage create --app $GAME_APP   (a bucket for sleeping rooms)"
    done
    need_secret "$GAME_APP" STORE_URL "fly secrets set --stage --app $GAME_APP STORE_URL=s3://BUCKET/rooms"
    # The same secret has the same digest.
    digest() { fly secrets list --app "$1" 2>/dev/null | tr -d '*│|' | awk '$1 == "AERODROME_SECRET" {print $2}'; }
    if [ "$(digest "$LOBBY_APP")" = "$(digest "$GAME_APP")" ]; then
        ok 'both apps share one AERODROME_SECRET'
    else
        bad 'the two AERODROME_SECRETs differ' "$SECRET_HINT"
    fi
    # An address of its own would be a way round the lobby. The gameserver refuses what does not come through it, but
    # nobody should have to rely on that.
    if fly ips list --app "$GAME_APP" 2>/dev/null | grep -v private | grep -Eq '(^|[^a-z])(v4|v6)'; then
        bad "$GAME_APP has a public address" "fly ips list --app $GAME_APP, then fly ips release ADDRESS"
    else
        ok "$GAME_APP has no public address"
    fi
fi

# On a private network of its own the game is reached only if the organisation allows replays across networks.
case $(fly orgs cross-network-replays status --org "$FLY_ORG" --json 2>/dev/null || echo unknown) in
    *true*) ok "the organisation $FLY_ORG allows replays across its networks" ;;
    *false*)
        printf '  note  the organisation %s keeps replays within one network: both apps must be on the same one, or\n' "$FLY_ORG"
        printf '        fly orgs cross-network-replays enable --org %s\n' "$FLY_ORG"
        if fly apps list --json 2>/dev/null | tr -d ' \n' | grep -q "\"Name\":\"$GAME_APP\"[^}]*\"Network\":\"[a-z]"; then
            bad "$GAME_APP is on a network of its own" "fly orgs cross-network-replays enable --org $FLY_ORG"
        fi
        ;;
    *) printf '  note  this flyctl or this login cannot tell whether replays may cross networks (it takes an admin)\n' ;;
esac

[ "$FAILED" = 0 ] || { echo 'Nothing was changed.' >&2; exit 1; }
[ "${1:-}" != --check ] || exit 0

# The game first: a new lobby may send what an old gameserver does not know. --ha=false: one machine is enough to copy.
say "Deploying $GAME_APP"
fly deploy --config net/fly.toml --app "$GAME_APP" --no-public-ips --ha=false
say "Deploying $LOBBY_APP"
fly deploy --config fly.toml --app "$LOBBY_APP"

say 'Making the pool of machines what assets/fleet.toml says'
cargo build --release --quiet -p lobby
FLY_API_TOKEN=${FLY_API_TOKEN:-$(fly tokens create deploy --app "$GAME_APP" --expiry 1h)} GAME_APP=$GAME_APP \
    target/release/lobby provision --fleet assets/fleet.toml
say "Open https://$LOBBY_APP.fly.dev"
