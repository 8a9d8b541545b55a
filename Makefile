# wick: boots a static Linux program as a microVM on a kernel written in Go.
#
#   make run        build everything and boot the example server, with its packets on the screen
#   make build      bin/wick, with the kernel in it
#   make examples   the example programs, in bin/
#   make test       everything that is tested; installs what that needs
#   make test-kvm   the part of them with KVM, in a guest that is emulated where there is none
#   make soak       everything at once, for SOAKTIME (30m) on 1, 2 and 4 virtual CPUs
#   make fuzz       each fuzz target for FUZZTIME (10s); FUZZ="packet hostlink" chooses folders
#   make bench      wick beside Linux guests: boot, memory, network, vsock, system calls; about an hour
#   make profile    where the kernel's time goes under those loads, PROFILETIME (10s) each; it is built with the result
#   make bench-dump wick dump against tcpdump and tshark on the same capture
#
# Needed: Linux on amd64, Go and make. The rest is installed where apt-get is.

# The environment must not change what is built. -buildvcs=false: Go fails where git refuses to look
# at the repository, as it does for another user's.
export GOFLAGS := -buildvcs=false
export GOWORK := off

COMMIT := $(shell git describe --always --abbrev=12 --dirty=+changes --exclude='*' 2>/dev/null)

# The kernel's text starts at 0xffffffff80201000 (the flag takes it as a negative number) and is
# entered at ground's entry, not at the runtime's.
KERNEL_LDFLAGS := -T -0x7fdff000 -E wick/kernel/ground.entry
# What make profile has written: the compiler inlines calls that are made often.
KERNEL_PROFILE := cmd/kernel/profile.pgo
KERNEL_FLAGS := -trimpath -pgo=$(KERNEL_PROFILE) -ldflags '$(KERNEL_LDFLAGS)'
GUEST := CGO_ENABLED=0 GOOS=linux GOARCH=amd64

# All but what boots machines.
UNIT := $$(go list ./... | grep -v '^wick/test/')
# Commands, and files of libraries, that tests need, with their packages in Debian and Ubuntu.
QEMU := qemu-system-x86_64=qemu-system-x86
GCC := gcc=gcc /usr/include/stdlib.h=libc6-dev

# Runs tests as go test does, and at the end says again which have failed, with what they printed.
GOTEST := go tool -modfile=tools/test.mod gotestsum --format standard-quiet --
GOTEST_V := go tool -modfile=tools/test.mod gotestsum --format standard-verbose --

STEP = @printf '\n== %s\n'

.PHONY: build
build: bin/wick

.PHONY: bin/wick
bin/wick: vmm/embedded/image/kernel.img
	CGO_ENABLED=0 go build -trimpath -o $@ -ldflags '-X main.commit=$(COMMIT)' ./cmd/wick

# Go knows what has changed; make does not.
.PHONY: vmm/embedded/image/kernel.img
vmm/embedded/image/kernel.img:
	@mkdir -p out
	$(GUEST) go build $(KERNEL_FLAGS) -o out/kernel.elf ./cmd/kernel
	go run ./cmd/mkimage out/kernel.elf $@

# Kernels for tests, with the build tag that is their name.
out/test/kernel-%.img: always
	@mkdir -p $(@D)
	$(GUEST) go build $(KERNEL_FLAGS) -tags $* -o $(@:.img=.elf) ./cmd/kernel
	go run ./cmd/mkimage $(@:.img=.elf) $@

.PHONY: always
always:

# Ordinary static programs, that know nothing of wick. The whole file is in the machine's memory, so those in Go are without
# symbols.
.PHONY: bin/echo bin/fileserver bin/nettests bin/nettests-server bin/vsockhttp bin/hello
bin/echo bin/fileserver bin/nettests bin/vsockhttp:
	$(GUEST) go build -trimpath -ldflags '-s -w' -o $@ ./examples/$(@F)
bin/nettests-server:
	CGO_ENABLED=0 go build -trimpath -o $@ ./examples/nettests/server
bin/hello: examples/hello/hello.c
	@tools/need $(GCC)
	@mkdir -p bin
	cc -O2 -static -o $@ $<

.PHONY: examples
examples: bin/echo bin/fileserver bin/nettests bin/nettests-server bin/vsockhttp bin/hello

.PHONY: run
run: build bin/echo
	@tools/need $(QEMU)
	@echo
	@echo 'Try from another terminal (Ctrl-C ends it here):'
	@echo '  curl http://127.0.0.1:20002/'
	@echo '  bash -c "exec 3<>/dev/udp/127.0.0.1/20000; echo hello >&3; head -n1 <&3"'
	@echo '  bash -c "exec 3<>/dev/tcp/127.0.0.1/20001; echo hello >&3; head -n1 <&3"'
	@echo
	bin/wick run --nic e1000 -p 20000:7/udp -p 20001:7 -p 20002:80 --dump bin/echo

.PHONY: check
check:
	$(STEP) 'go vet, gofmt, layers, restricted Go'
	go vet ./...
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
		if [ -n "$$unformatted" ]; then echo "not formatted: $$unformatted"; exit 1; fi
	go test -count=1 ./test/layers
	go test -count=1 -run '^TestRestrictedGo$$' ./kernel/ground

.PHONY: unit
unit:
	$(STEP) 'unit tests, with the race detector'
	@tools/need $(QEMU) $(GCC) tshark=tshark tcpdump=tcpdump
	WICK_REQUIRE_TSHARK=1 CGO_ENABLED=1 $(GOTEST) -race -timeout 15m $(UNIT)

.PHONY: vmtest
vmtest: build out/test/kernel-faults.img
	$(STEP) 'tests in virtual machines'
	@tools/need $(QEMU) $(GCC) tshark=tshark musl-gcc=musl-tools gdb=gdb socat=socat
	$(GOTEST) -timeout 15m $$(go list ./test/... | grep -v '^wick/test/vm$$')
	WICK_VM=1 $(GOTEST_V) -count=1 -timeout 45m ./test/vm

.PHONY: test
test: build check unit vmtest test-kvm
	$(STEP) 'all tests have passed'

.PHONY: test-kvm
test-kvm: build
	$(STEP) 'tests with KVM'
	@tools/need $(QEMU) $(GCC) dpkg-deb=dpkg
	WICK_VM=1 WICK_KVM=1 $(GOTEST_V) -count=1 -timeout 30m -run '^TestKVM$$' ./test/vm

SOAKTIME ?= 30m
.PHONY: soak
soak: build out/test/kernel-soak.img
	$(STEP) 'everything at once, for $(SOAKTIME) on each kind of machine'
	@tools/need $(QEMU) $(GCC)
	WICK_VM=1 WICK_SOAK=$(SOAKTIME) go test -v -count=1 -timeout 0 -run '^TestSoak' ./test/vm

FUZZTIME ?= 10s
.PHONY: fuzz
fuzz:
	$(STEP) 'fuzz targets, $(FUZZTIME) each'
	tools/fuzz $(FUZZTIME) $(FUZZ)

PROFILETIME ?= 10s
.PHONY: profile
profile: build
	$(STEP) "the kernel's profile, $(PROFILETIME) under each load"
	@tools/need $(QEMU)
	@mkdir -p out/bench
	$(GUEST) go build -trimpath -ldflags '-s -w' -o out/bench/server ./bench/programs/server
	go run ./bench/cmd/profile -time $(PROFILETIME) -out $(KERNEL_PROFILE)

# BENCH: more flags, see docs/performance.md.
BENCH_ROUNDS ?= 10
BENCH_OUT ?= out/bench
.PHONY: bench
bench: build
	$(STEP) 'wick beside Linux, $(BENCH_ROUNDS) rounds'
	@tools/need $(QEMU) $(GCC) xz=xz-utils dpkg-deb=dpkg \
		$(if $(findstring -tiny,$(BENCH)),flex=flex bison=bison bc=bc /usr/include/libelf.h=libelf-dev lz4=lz4)
	go run ./bench/cmd/bench -rounds $(BENCH_ROUNDS) -out $(BENCH_OUT) $(BENCH)

.PHONY: bench-dump
bench-dump:
	$(STEP) 'wick dump against tcpdump and tshark'
	@tools/need tshark=tshark tcpdump=tcpdump
	WICK_BENCH_DUMP=1 go test -v -count=1 -run '^TestSpeed$$' ./packet/dump
