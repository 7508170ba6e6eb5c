#!/usr/bin/env bash
# Holds the requests of the Stripe adapter to Stripe's own description of its API, by stripe-mock on loopback.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh stripe
PATH="$PATH:$(go env GOPATH)/bin"
export PATH
go vet -tags stripemock ./simulator/channel/stripe
exec go test -vet=off -tags stripemock -count=1 ./simulator/channel/stripe
