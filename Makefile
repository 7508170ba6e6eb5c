# Purselane. `make demo` and `make test` do all the set-up on a fresh Debian machine with Go 1.26 or later.

GO ?= go
ARTIFACTS ?= artifacts

.PHONY: all build build-pcsc demo test test-go test-pcsc test-hsm test-pg test-stripe test-deb deb test-town test-orders test-kill lint fuzz bench-card bench-tap bench-boot bench-channel-health bench-latency bench-orders bench-pn532 bench-posting bench-route bench-settle bench-verify bench-wear soak-tap generate clean

all: build

build:
	scripts/setup.sh
	$(GO) build -o bin/ ./cmd/purselane ./cmd/purselane-terminal

# With PC/SC: needs C.
build-pcsc:
	scripts/setup.sh pcsc
	$(GO) build -tags pcsc -o bin/ ./cmd/purselane ./cmd/purselane-terminal

# The whole scheme in one process, on embedded defaults.
demo:
	@scripts/setup.sh
	@$(GO) run ./cmd/purselane demo $(DEMO)

# Everything CI runs. The steps print what they ran; none is skipped in silence. The last ones run two at a time, each said when it has ended: the tests with PC/SC
# wait most of the time, and PostgreSQL's take longest.
test:
	scripts/setup.sh test
	$(MAKE) --no-print-directory lint test-go
	$(MAKE) --no-print-directory -j2 --output-sync=target test-pg test-pcsc test-hsm test-stripe test-deb

lint:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "not gofmt-clean:" $$bad; exit 1; fi
	$(GO) vet ./...

# What it does not vet `make lint` does.
test-go:
	mkdir -p $(ARTIFACTS)
	PURSELANE_ARTIFACTS=$(abspath $(ARTIFACTS)) $(GO) test -vet=off -timeout 8m ./...

# Whole terminals, the reader's own tests, scenarios and card tools, over real pcscds with virtual readers.
test-pcsc:
	scripts/pcsc-test.sh

# The tests of the PKCS#11 door, against a real SoftHSM.
test-hsm:
	scripts/hsm-test.sh

# The backend's tests again, on PostgreSQL.
test-pg:
	scripts/pg-test.sh

# The shape of the requests to Stripe, against stripe-mock.
test-stripe:
	scripts/stripe-test.sh

# Debian packages of the terminal for amd64 and arm64, without C, in bin/; with PCSC=1 for this machine alone, with PC/SC.
deb:
	scripts/setup.sh
	scripts/deb.sh

test-deb:
	scripts/deb-test.sh

# The deterministic town alone: make test-town SEED=7 replays one run.
test-town:
	$(GO) test -count=1 $(if $(SEED),-v) ./simulator/town -run Town $(if $(SEED),-args -seed $(SEED))

# Random histories that arrive in random ways must end as the plain reference says: make test-orders HISTORIES=1000 SEED=7, with PG=1 on PostgreSQL. A tenth of them
# come to four posters at a time as well.
HISTORIES ?= 10000
test-orders:
	$(GO) test -count=1 -timeout 4h $(if $(PG),-tags postgres) ./backend/store/storetest -v -run '^TestStore$$/^(orders|beside|settlement)$$' -args -histories $(HISTORIES) $(if $(SEED),-history-seed $(SEED))

# A process that sells loads dies by kill -9 at every numbered point of payment and load, then at ROUNDS random ones under bad weather; each time everything must agree
# after a night: make test-kill ROUNDS=500 SEED=7, with PG=1 on PostgreSQL.
ROUNDS ?= 100
test-kill:
	$(GO) test -count=1 -timeout 4h $(if $(PG),-tags postgres) ./simulator/killrun -v -args -every 1 -rounds $(ROUNDS) $(if $(SEED),-kill-seed $(SEED))

# A short run of every fuzz target: make fuzz FUZZTIME=1m
FUZZTIME ?= 10s
fuzz:
	scripts/fuzz.sh $(FUZZTIME)

# With SoftHSM where it is installed (scripts/setup.sh hsm), else the software alone; it says which.
bench-card:
	$(GO) run $(if $(wildcard /usr/bin/softhsm2-util),-tags pkcs11) ./simulator/benchcard

# Our own share of a tap with two readers at once; over pcscd too where there is one (scripts/setup.sh pcsc), and it says when not.
bench-tap:
	@GO=$(GO) scripts/bench-tap.sh

# 100,000 taps on two readers without a restart, and what the process holds after 1,000, 10,000 and all: make soak-tap TAPS=5000 SYNC=false
TAPS ?= 100000
SYNC ?= true
soak-tap:
	$(GO) run ./simulator/benchtap -soak $(TAPS) -sync=$(SYNC)

# What a terminal with two readers writes for a tap, and in a year of 2,000 taps a day: docs/journal.md.
bench-wear:
	$(GO) run ./simulator/benchtap -soak 10000 -day 2000

# How long a journal of 256 MiB takes to open, in one file and in files of a day.
bench-boot:
	$(GO) run ./simulator/benchtap -boot 256

# From the outcome shown to the receipt kept, with the link up; in milliseconds.
bench-latency:
	$(GO) test ./simulator/acceptance -run '^$$' -bench TapToReceipt -benchtime 500x

# Labelled faults of channels under three modes, beside published figures; with charts: make bench-channel-health HTML=bin/health.html
bench-channel-health:
	$(GO) run ./simulator/benchhealth $(if $(HTML),-html $(HTML))

# Orders over a channel whose notifications are lost and doubled, on an accelerated clock: make bench-orders ORDERS=5000
ORDERS ?= 100000
bench-orders:
	$(GO) run ./simulator/benchorders -orders $(ORDERS)

# Routing decisions in memory against a bare loop over the same candidates, and what learning gains over fixed rules.
bench-route:
	$(GO) run ./simulator/benchroute

# Closing a day and a quarter of it, each in a process of its own: taps a second and memory, which should not grow: make bench-settle TAPS=1000000
bench-settle:
	$(GO) run ./simulator/benchsettle -taps $(TAPS)

# What the PN532 reader adds to one exchange, over an emulated chip.
bench-pn532:
	$(GO) run ./simulator/benchpn532

# Many records' TACs at once against the straight 3DES chain; with SoftHSM where it is installed.
bench-verify:
	$(GO) run $(if $(wildcard /usr/bin/softhsm2-util),-tags pkcs11) ./simulator/benchverify

# Posting against bare statements by hand on the same disk, and what the age of cards, a hot merchant and duplicates do to it; on PostgreSQL too where it is installed.
bench-posting:
	@GO=$(GO) scripts/bench-posting.sh

# Generated code is committed; this makes it anew (needs protoc, and protoc-gen-go v1.36.12 on the PATH).
generate:
	protoc --go_out=. --go_opt=module=github.com/purselane/purselane uplink/wire/wire.proto
	$(GO) generate ./backend/api
	$(GO) generate ./backend/gateway/api

clean:
	rm -rf bin $(ARTIFACTS)
