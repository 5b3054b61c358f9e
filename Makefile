# `make demo` shows what this is; `make test` is what a change has to pass.

CARGO ?= cargo
CLIPPY = $(CARGO) clippy --all-targets -- -D warnings
# Not quiet: the first build of the lab itself takes a minute or two.
LAB = $(CARGO) run --example lab --

# Where Pacemaker looks for resource agents, and where the program goes. PROGRAM is a ready one; else it is built.
OCF_ROOT ?= /usr/lib/ocf
BINDIR ?= /usr/local/bin
PROGRAM ?=
STATIC = x86_64-unknown-linux-musl

.PHONY: help deps build image test units parts beside e2e ocf ocft pacemaker install-ocf demo bench repeat sim sim-large model-deep chaos calm instants without-bpf lint licences clean-lab

help:
	@echo 'make demo [KEEP=1]  a real cluster on this machine, and an address that moves in it; KEEP=1 leaves it running'
	@echo 'make test           every test, unit and end to end; installs what it needs'
	@echo 'make e2e [T=name]   the end-to-end tests, or those whose name contains T'
	@echo 'make repeat [N=5]   the end-to-end tests that the client on the wire judges, N times, each time on a new cluster'
	@echo 'make ocft           the tests that Debian ships for IPaddr2 (its ocft), with our resource agent in its place'
	@echo 'make pacemaker      a real Pacemaker on two nodes that starts, monitors, moves and stops an address with it'
	@echo 'make install-ocf    the program, and the resource agent ocf:virtualip:VirtualIP where Pacemaker finds it;'
	@echo '                    DESTDIR, BINDIR, OCF_ROOT; PROGRAM=FILE for one that was built elsewhere'
	@echo 'make bench [T=part]  the figures, as a table and in target/bench.json; or only size, many, handover, moves, base,'
	@echo '                    fence, idle, renewals, steady, quiet, off (power-offs with witnesses, and with keepalived beside),'
	@echo '                    dead (the owner of a thousand addresses)'
	@echo 'make model-deep     the model checker further than every test run takes it: how many states, how deep, and what was missed'
	@echo 'make sim            random faults in virtual time, N seeds (1000) with rights from Leases and as many with witnesses;'
	@echo '                    SEED=number shows one'
	@echo 'make sim-large      whole clusters in virtual time: what they ask of the API server, and from what addresses are silent; as a table'
	@echo '                    and in target/sim.json; SIZES=20x80,... (nodes x VirtualIPs), SECONDS=faults for so long, SEED=number'
	@echo 'make chaos          every fault N times (20), as a table and in target/chaos.json; T=part of a cell, MODES=lease,both,witness,'
	@echo '                    SEED=number, RESUME=1 goes on where the file ends; PEERS=1 for keepalived (Debian) in place of our agents,'
	@echo '                    and for MetalLB where METALLB names a folder with its program speaker and the metallb-native.yaml of its release'
	@echo 'make calm           false alarms: ten MINUTES of all processors taken and 5 % of frames lost, and what moved; to target/calm.json;'
	@echo '                    MODES=witness,both,'
	@echo '                    LOAD=100m the processor that the other pods ask for, as much as an agent does'
	@echo 'make instants       the agent of an owner stopped or killed at N random instants (200), and whether the node answered after its'
	@echo '                    deadline; to target/instants.json; SEED=number, RESUME=1 adds to the file, SOURCE=witness'
	@echo 'make without-bpf    a build that finds no BPF compiler: what it says, and that its agents do with lifetimes'
	@echo 'make lint           formatting, clippy'
	@echo 'make licences       what our dependencies may be used for, and which are banned'
	@echo 'make build image    the static release binary; the container image around it'
	@echo 'make clean-lab      ends every lab that was left running'

# What the lab needs: Debian packages where we are root, else a sentence that names them.
deps:
	@$(LAB) deps

build:
	$(CARGO) build --release --target $(STATIC)

image: deps
	@$(LAB) image

# All tests but those of the model and e2e. In two parts that run side by side: both wait for the kernel, mostly.
UNITS = --lib
PARTS = --bins --example observer --test '[!e]*'

# The binary that ships comes first, since end-to-end tests wait for it, and its last minutes are one processor's: where its compilers are
# there already it does not wait for `deps`, which has to be built itself. Everything else is built `nice` beside it. What takes whatever
# tests that wait for their cluster leave is `beside`: the worlds of the protocol's model, and clippy, in a directory of its own, since
# cargo locks it. Examples are checked by clippy only, and built by whoever runs one. `timeout` is there to end a job with all that it
# has started.
test:
	@mkdir -p target; \
	which clang musl-gcc > /dev/null && test -d /usr/include/bpf || $(MAKE) --no-print-directory deps || exit; \
	timeout 1h $(MAKE) --no-print-directory build > target/build.log 2>&1 & build=$$!; \
	trap 'kill $$build $$beside 2> /dev/null' EXIT; \
	nice -n 19 $(MAKE) --no-print-directory deps licences && $(CARGO) fmt --check && \
	nice -n 19 $(CARGO) test --no-run $(UNITS) $(PARTS) --test e2e || exit; \
	timeout 1h $(MAKE) --no-print-directory beside > target/beside.log 2>&1 & beside=$$!; \
	{ $(MAKE) --no-print-directory -j2 -Otarget units parts && $(CARGO) test --test e2e; } || exit; \
	wait $$build || { cat target/build.log; exit 1; }; \
	wait $$beside || { cat target/beside.log; exit 1; }; \
	sed -n '/^running/p; /^test result/p' target/beside.log

units:
	$(CARGO) test $(UNITS) -- --skip ownership::

parts:
	$(CARGO) test $(PARTS)
	$(CARGO) test --doc

beside:
	chrt --idle 0 $(CARGO) test --lib ownership::
	CARGO_TARGET_DIR=target/lint chrt --idle 0 $(CLIPPY)

e2e: deps
	$(CARGO) test --test e2e -- $(if $(T),'$(T)')

repeat: deps
	VIRTUALIP_E2E_RUNS=$(or $(N),5) $(CARGO) test --test e2e -- '$(or $(T),[wire])'

ocf ocft:
	@test -x /usr/sbin/ocft || apt-get install -qq --yes --no-install-recommends resource-agents
	$(CARGO) build
	e2e/ocf/ocft.sh target/debug/virtualip

pacemaker:
	@test -x /usr/sbin/pacemakerd -a -x /usr/sbin/crm || apt-get install -qq --yes --no-install-recommends corosync pacemaker crmsh
	$(CARGO) run --quiet --example pacemaker

install-ocf: $(if $(PROGRAM),,build)
	install -D -m 755 $(or $(PROGRAM),target/$(STATIC)/release/virtualip) $(DESTDIR)$(BINDIR)/virtualip
	install -d $(DESTDIR)$(OCF_ROOT)/resource.d/virtualip
	printf '#!/bin/sh\nexec %s ocf "$$@"\n' $(BINDIR)/virtualip > $(DESTDIR)$(OCF_ROOT)/resource.d/virtualip/VirtualIP
	chmod 755 $(DESTDIR)$(OCF_ROOT)/resource.d/virtualip/VirtualIP

demo: deps
	@$(LAB) demo $(if $(KEEP),--keep)

# keepalived is what power-offs are compared with.
bench: deps
	@test -x /usr/sbin/keepalived || apt-get install -qq --yes --no-install-recommends keepalived
	@$(CARGO) run --quiet --example bench -- $(T)

chaos: export N := $(N)
chaos: export T := $(T)
chaos: export MODES := $(MODES)
chaos: export SEED := $(SEED)
chaos: export RESUME := $(RESUME)
chaos: export PEERS := $(PEERS)
chaos: export METALLB := $(METALLB)
chaos: deps
	@$(CARGO) run --quiet --example chaos

calm: export MINUTES := $(MINUTES)
calm: export MODES := $(MODES)
calm: export LOAD := $(LOAD)
calm: deps
	@$(CARGO) run --quiet --example calm

instants: export N := $(N)
instants: export SEED := $(SEED)
instants: export SOURCE := $(SOURCE)
instants: export RESUME := $(RESUME)
instants: deps
	@$(CARGO) run --quiet --example instants

without-bpf: deps
	@$(CARGO) run --quiet --example without_bpf

# One at a time: each may take some GB.
model-deep:
	$(CARGO) test --profile sim --lib ownership::model -- --include-ignored --nocapture --test-threads=1

sim:
	VIRTUALIP_SEEDS=$(or $(N),1000) $(if $(SEED),VIRTUALIP_SEED=$(SEED)) $(CARGO) test --profile sim --lib sim::seeds -- --nocapture

SIZES ?= 5x40,10x40,20x80

sim-large:
	@rm -f target/sim.json
	VIRTUALIP_SIZES=$(SIZES) VIRTUALIP_JSON=target/sim.json $(if $(SECONDS),VIRTUALIP_SECONDS=$(SECONDS)) $(if $(SEED),VIRTUALIP_SEED=$(SEED)) $(CARGO) test --profile sim --lib sim::large::what -- --nocapture

lint:
	$(CARGO) fmt --check
	$(CLIPPY)

# cargo-deny is built once, by cargo, where it is missing.
licences:
	@command -v cargo-deny >/dev/null || { echo 'building cargo-deny, a few minutes the first time'; $(CARGO) install --quiet --locked cargo-deny; }
	$(CARGO) deny --log-level error check licenses bans sources

clean-lab:
	@$(LAB) down
