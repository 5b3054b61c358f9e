# `make demo` shows what this is; `make test` is what a change has to pass.

CARGO ?= cargo
LAB = $(CARGO) run --quiet --example lab --

.PHONY: help deps build image test e2e demo bench lint licences clean-lab

help:
	@echo 'make demo [KEEP=1]  a real cluster on this machine, and an address that moves in it; KEEP=1 leaves it running'
	@echo 'make test           every test, unit and end to end; installs what it needs'
	@echo 'make e2e [T=name]   the end-to-end tests, or those whose name contains T'
	@echo 'make bench          the figures, as a table and in target/bench.json'
	@echo 'make lint           formatting, clippy'
	@echo 'make licences       what our dependencies may be used for, and which are banned'
	@echo 'make build image    the static release binary; the container image around it'
	@echo 'make clean-lab      ends every lab that was left running'

# What the lab needs: Debian packages where we are root, else a sentence that names them.
deps:
	@$(LAB) deps

build:
	$(CARGO) build --release --target x86_64-unknown-linux-musl

image: deps
	@$(LAB) image

test: deps lint licences
	$(CARGO) test

e2e: deps
	$(CARGO) test --test e2e -- $(T)

demo: deps
	@$(LAB) demo $(if $(KEEP),--keep)

bench: deps
	@$(CARGO) run --quiet --example bench

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

# cargo-deny is built once, by cargo, where it is missing.
licences:
	@command -v cargo-deny >/dev/null || { echo 'building cargo-deny, a few minutes the first time'; $(CARGO) install --quiet --locked cargo-deny; }
	$(CARGO) deny --log-level error check licenses bans sources

clean-lab:
	@$(LAB) down
