# linedown's few commands. `make demo` and `make test` need a Rust toolchain and nothing else: they install what is
# missing (packaging/setup says what).

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
CARGO ?= cargo

target = $(or $(CARGO_TARGET_DIR),target)
# `make deb PROFILE=debug` packages a build for trying out.
PROFILE ?= release
binary = $(target)/$(PROFILE)/linedown
bin = $(DESTDIR)$(PREFIX)/bin
systemd = $(DESTDIR)$(PREFIX)/lib/systemd
share = $(DESTDIR)$(PREFIX)/share
config = $(DESTDIR)$(SYSCONFDIR)/linedown

.PHONY: help
help:
	@echo "make demo      see it work: builds linedown and plays through an outage, leaves nothing behind"
	@echo "make test      run every test, also of the Debian package under a real systemd"
	@echo "make test-systemd   the latter alone; takes root (SUITES= names releases of Debian)"
	@echo "make soak      kill it a thousand times under load and faults, and judge (SOAK_KILLS=, SOAK_SEED=)"
	@echo "make fuzz      feed its readers what no one sends (SECONDS= for each, 60)"
	@echo "make bench     measure the bounds it keeps (PARTS= names some of them)"
	@echo "make bench-rivals   measure Alertmanager and webhook beside it"
	@echo "make instructions   count the instructions of the hot path (ACCEPT=1 accepts them)"
	@echo "make build     build it for use, into $(binary)"
	@echo "make deb       make a Debian package of it, in $(target)/debian"
	@echo "make rpm       make an RPM package of it, in $(target)/rpm"
	@echo "make install   install it: program, systemd units and config (PREFIX=$(PREFIX), DESTDIR=)"

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

# The C in it is hardened as Debian hardens its own; the Rust in it is by itself.
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

# Minutes: the long form of what `make test` does briefly. RELIABILITY.md says what it shows.
SOAK_KILLS ?= 1000
.PHONY: soak
soak:
	@packaging/setup build tests
	SOAK_KILLS=$(SOAK_KILLS) $(CARGO) test --locked --test soak -- --nocapture --test-threads 1

# Everything that reads what others wrote, SECONDS each; TARGETS= names some of it.
.PHONY: fuzz
fuzz:
	@packaging/setup build fuzz
	@SECONDS_EACH=$(or $(SECONDS),60) TARGETS="$(TARGETS)" CARGO="$(CARGO)" fuzz/run

# Figures beside their limits.
.PHONY: bench
bench:
	@packaging/setup build bench
	$(CARGO) bench --locked --bench bounds -- $(PARTS)

# The same load on others, which are unpacked beside the build and run on this machine alone.
.PHONY: bench-rivals
bench-rivals:
	@packaging/setup build rivals
	$(CARGO) bench --locked --bench bounds -- rivals

# Instructions of the hot path beside those that were accepted; ACCEPT=1 accepts the present ones.
.PHONY: instructions
instructions:
	@packaging/setup build instructions
	$(CARGO) bench --locked --profile counted --bench instructions -- $(if $(ACCEPT),accept)

# Builds only what is not there yet, so that `sudo make install` needs no toolchain.
$(binary):
	$(MAKE) build

# A config that is there already is left as it is.
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
	test -e "$(config)/linedown.toml" || install -m 644 packaging/linedown.toml "$(config)/linedown.toml"
	install -d "$(config)/conf.d"
	install -d -m 700 "$(config)/credentials"
