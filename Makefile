# `make demo` and `make test` need only a Rust toolchain: they name and install whatever else is missing
# (packaging/setup).

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
CARGO ?= cargo

target = $(or $(CARGO_TARGET_DIR),target)
# `make deb PROFILE=debug` packages a debug build.
PROFILE ?= release
binary = $(target)/$(PROFILE)/linedown
bin = $(DESTDIR)$(PREFIX)/bin
systemd = $(DESTDIR)$(PREFIX)/lib/systemd
share = $(DESTDIR)$(PREFIX)/share
config = $(DESTDIR)$(SYSCONFDIR)/linedown

.PHONY: help
help:
	@echo "make demo      see linedown work: build it, play through an outage, leave nothing behind"
	@echo "make test      run every test, including the packages under a real systemd"
	@echo "make test-systemd   only the packages under systemd; needs root (SUITES= names Debian releases)"
	@echo "make soak      kill the daemon a thousand times under load and faults, and judge (SOAK_KILLS=, SOAK_SEED=)"
	@echo "make fuzz      fuzz everything that reads input from others (SECONDS=60 for each target, TARGETS= names some)"
	@echo "make bench     measure speed and memory beside their limits (PARTS= names some)"
	@echo "make bench-rivals   measure Alertmanager and webhook under the same load"
	@echo "make instructions   count the instructions of the hot path (ACCEPT=1 accepts the new counts)"
	@echo "make build     build the release, into $(binary)"
	@echo "make deb       make a Debian package, in $(target)/debian"
	@echo "make rpm       make an RPM package, in $(target)/rpm"
	@echo "make install   install the program, systemd units and config (PREFIX=$(PREFIX), DESTDIR=)"

.PHONY: demo
demo:
	@packaging/setup build
	@$(CARGO) run --locked -- demo

.PHONY: test
test:
	@packaging/setup build tests
	$(CARGO) test --workspace --locked
	@$(MAKE) --no-print-directory test-systemd PROFILE=debug

.PHONY: build
build:
	@packaging/setup build
	$(CARGO) build --profile $(if $(filter debug,$(PROFILE)),dev,$(PROFILE)) --locked

# The C code is hardened with Debian's own flags; the Rust code is hardened by default.
.PHONY: deb rpm
deb rpm:
	@packaging/setup build deb $@
	@$(if $(filter release,$(PROFILE)),CFLAGS="$$(dpkg-buildflags --get CFLAGS) $$(dpkg-buildflags --get CPPFLAGS)") \
		$(MAKE) --no-print-directory build
	@packaging/$@/build "$(binary)" "$(target)/$(if $(filter deb,$@),debian,rpm)"

# The packages under a real systemd, on this Debian release and the next.
SUITES ?= $(shell . /etc/os-release; case $$VERSION_CODENAME in (bookworm) echo bookworm trixie ;; (*) echo $$VERSION_CODENAME ;; esac)
.PHONY: test-systemd
test-systemd: deb
	@packaging/setup systemd
	lintian --allow-root --fail-on error $(target)/debian/linedown_*.deb
	@for suite in $(SUITES); do \
		LAB="$(abspath $(target))/systemd" tests/systemd/run $(target)/debian/linedown_*.deb $$suite || exit 1; \
	done

# The long form of what `make test` does briefly; takes some 20 minutes. RELIABILITY.md says what it shows.
SOAK_KILLS ?= 1000
.PHONY: soak
soak:
	@packaging/setup build tests
	SOAK_KILLS=$(SOAK_KILLS) $(CARGO) test --locked --test soak -- --nocapture --test-threads 1

# Fuzzes everything that reads input from others, SECONDS for each target; TARGETS= names some of them.
.PHONY: fuzz
fuzz:
	@packaging/setup build fuzz
	@SECONDS_EACH=$(or $(SECONDS),60) TARGETS="$(TARGETS)" CARGO="$(CARGO)" fuzz/run

# Measures speed and memory beside their limits.
.PHONY: bench
bench:
	@packaging/setup build bench
	$(CARGO) bench --locked --bench bounds -- $(PARTS)

# Puts the same load on other programs, which are unpacked beside the build and run on this machine only.
.PHONY: bench-rivals
bench-rivals:
	@packaging/setup build rivals
	$(CARGO) bench --locked --bench bounds -- rivals

# Counts the instructions of the hot path and compares them with the accepted counts; ACCEPT=1 accepts the new ones.
.PHONY: instructions
instructions:
	@packaging/setup build instructions
	$(CARGO) bench --locked --profile counted --bench instructions -- $(if $(ACCEPT),accept)

# Builds only if there is no binary yet, so that `sudo make install` needs no toolchain.
$(binary):
	$(MAKE) build

# An existing config is left as it is.
.PHONY: install
install: $(binary)
	install -d "$(bin)" "$(systemd)/system" "$(config)"
	install -m 755 "$(binary)" "$(bin)/linedown"
	sed 's|/usr/local/bin/|$(PREFIX)/bin/|' packaging/linedown.service >"$(systemd)/system/linedown.service"
	chmod 644 "$(systemd)/system/linedown.service"
	install -m 644 packaging/linedown.socket "$(systemd)/system/linedown.socket"
	install -D -m 644 packaging/linedown.catalog "$(systemd)/catalog/linedown.catalog"
	install -d "$(share)/man/man1" "$(share)/bash-completion/completions" "$(share)/zsh/site-functions" \
		"$(share)/fish/vendor_completions.d"
	"$(binary)" man --folder "$(share)/man/man1"
	"$(binary)" completions bash >"$(share)/bash-completion/completions/linedown"
	"$(binary)" completions zsh >"$(share)/zsh/site-functions/_linedown"
	"$(binary)" completions fish >"$(share)/fish/vendor_completions.d/linedown.fish"
	packaging/pages "$(share)/doc/linedown"
	test -e "$(config)/linedown.toml" || install -m 644 packaging/linedown.toml "$(config)/linedown.toml"
	install -d "$(config)/conf.d"
	install -d -m 700 "$(config)/credentials"
