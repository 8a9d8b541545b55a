"""gdb commands for wick's kernel: its processors, threads and goroutines, and the threads of the program.

    wick run --gdb 1234 ./server                                     in one terminal
    gdb -x tools/gdb/wick.py out/kernel.elf                          in another
    (gdb) target remote 127.0.0.1:1234

After `make build`, for the kernel that is in bin/wick. `help wick` lists the commands. They need what Debian's gdb has: Python,
and the debug information of the Go toolchain. They only read memory, so they work wherever the kernel was stopped.
"""

import os
import gdb

GSCAN = 0x1000
STATUS = {0: "idle", 1: "runnable", 2: "running", 3: "in a call of ground", 4: "waiting", 6: "dead",
          8: "copying its stack", 9: "preempted"}
THREAD = {0: "free", 1: "runnable", 2: "running", 3: "waits for a futex", 4: "sleeps", 5: "waits for events"}
UPPER = 1 << 63


def value(expression):
    return gdb.parse_and_eval(expression)


def memory(address, size):
    """Bytes of the kernel; pages of it that nothing has touched yet don't exist, and are zero."""
    data = b""
    while size > 0:
        n = min(size, 4096 - address % 4096)
        try:
            data += gdb.selected_inferior().read_memory(address, n).tobytes()
        except gdb.MemoryError:
            data += bytes(n)
        address, size = address + n, size - n
    return data


def word(address):
    """The eight bytes at an address of the kernel."""
    return int.from_bytes(gdb.selected_inferior().read_memory(address, 8).tobytes(), "little")


def text(string):
    """A Go string."""
    size = int(string["len"])
    if size == 0:
        return ""
    return gdb.selected_inferior().read_memory(int(string["str"]), size).tobytes().decode("utf-8", "replace")


def pointer(address, type_name):
    return gdb.Value(address).cast(gdb.lookup_type(type_name).pointer())


class Frames:
    """Functions and lines of a stack, by the chain of frame pointers that Go code keeps."""

    MOST = 64

    @staticmethod
    def place(pc):
        """What is at an address: innermost function first, with those it was inlined in."""
        line = gdb.find_pc_line(pc)
        where = "%s:%d" % (line.symtab.filename, line.line) if line.symtab else "?"
        names, block = [], gdb.block_for_pc(pc)
        while block is not None and not block.is_static and not block.is_global:
            if block.function is not None:
                names.append(block.function.print_name)
            block = block.superblock
        if not names:
            symbol = gdb.execute("info symbol %#x" % pc, to_string=True).split(" + ")[0].split(" in section")[0]
            names.append(symbol.strip())
        return " in ".join(names), where

    @classmethod
    def show(cls, pc, sp, bp, exact=False):
        """exact: pc is the next instruction, not a return address behind a call."""
        seen = 0
        while pc >= UPPER and seen < cls.MOST:
            name, where = cls.place(pc if exact else pc - 1)
            print("    %s %s" % (name, where))
            exact = False
            seen += 1
            if name.startswith(("runtime.goexit", "runtime.mstart", "runtime.rt0_go")) or bp < UPPER or bp < sp:
                return
            try:
                sp, pc, bp = bp + 16, word(bp + 8), word(bp)
            except gdb.MemoryError:
                return


def goroutines():
    """The runtime's goroutines that aren't dead."""
    count, first = int(value("'runtime.allglen'")), value("'runtime.allgptr'")
    for i in range(count):
        g = first[i].dereference()
        if status(g) not in (0, 6):
            yield g


def status(g):
    return int(g["atomicstatus"]["value"]) & ~GSCAN


def state(g):
    if status(g) != 4:
        return STATUS.get(status(g), "status %d" % status(g))
    reason = int(g["waitreason"])
    return text(value("'runtime.waitReasonStrings'")[reason])


def show_goroutine(g, stack):
    print("goroutine %d [%s]" % (int(g["goid"]), state(g)))
    if status(g) == 2:
        if stack:
            print("    runs: see wick cpus and wick kernel-threads")
        return
    pc, sp, bp = (int(g["sched"][f]) for f in ("pc", "sp", "bp"))
    if status(g) == 3:
        pc, sp, bp = (int(g[f]) for f in ("syscallpc", "syscallsp", "syscallbp"))
    if stack:
        Frames.show(pc, sp, bp)
    else:
        # Where it waits says less than who waits there.
        for _ in range(Frames.MOST):
            name, where = Frames.place(pc - 1)
            package = name.split(" in ")[0]
            if not package.startswith(("runtime.", "internal/", "sync.", "time.")) or bp < UPPER:
                break
            pc, bp = word(bp + 8), word(bp)
        print("    %s %s" % (name, where))


class Wick(gdb.Command):
    """Looks into wick's kernel."""

    def __init__(self):
        super().__init__("wick", gdb.COMMAND_STATUS, prefix=True)


class Goroutines(gdb.Command):
    """Lists the goroutines of the kernel, with what each waits for and where. With `all`, with their stacks."""

    def __init__(self):
        super().__init__("wick goroutines", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for g in goroutines():
            show_goroutine(g, argument.strip() == "all")


class Goroutine(gdb.Command):
    """Shows the stack of a goroutine that doesn't run: wick goroutine ID."""

    def __init__(self):
        super().__init__("wick goroutine", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        for g in goroutines():
            if str(int(g["goid"])) == argument.strip():
                return show_goroutine(g, True)
        raise gdb.GdbError("no goroutine %s" % argument)


def cpus():
    table = value("'wick/kernel/ground.cpus'")
    for i in range(int(value("'wick/kernel/ground.cpuCount'"))):
        yield i, table[i]


def kernel_threads():
    table = value("'wick/kernel/ground.threads'")
    for i in range(1, int(value("'wick/kernel/ground.topThread'")) + 1):
        if int(table[i]["state"]) != 0:
            yield table[i]


class CPUs(gdb.Command):
    """Shows what each processor does, and its stack."""

    def __init__(self):
        super().__init__("wick cpus", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        before = gdb.selected_thread()
        vcpus = {t.num - 1: t for t in gdb.selected_inferior().threads()}
        for i, cpu in cpus():
            current = int(cpu["cur"])
            idle = current == int(cpu["idle"].address)
            tid = 0 if idle else int(pointer(current, "wick/kernel/ground.thread")["tid"])
            print("cpu %d: %s" % (i, "idle" if idle else "thread %d" % tid))
            if i in vcpus:
                vcpus[i].switch()
                pc, sp, bp = (int(value("$" + r)) & (2**64 - 1) for r in ("pc", "sp", "rbp"))
                if pc < UPPER:
                    print("    ring 3, IP %#x SP %#x" % (pc, sp))
                else:
                    Frames.show(pc, sp, bp, exact=True)
        if before is not None:
            before.switch()


class KernelThreads(gdb.Command):
    """Lists the threads of the kernel's runtime, with the stacks of those that no processor runs."""

    def __init__(self):
        super().__init__("wick kernel-threads", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for t in kernel_threads():
            state = int(t["state"]) & 7  # above that, a waiting thread has the number of the wait
            running = state == 2
            print("thread %d [%s%s]" % (int(t["tid"]), THREAD.get(state, "?"),
                                        " on cpu %d" % int(t["onCPU"]) if running else ""))
            if not running:
                Frames.show(int(t["ip"]), int(t["sp"]), int(t["bp"]), exact=True)


CALLS = {}


def call_name(number):
    if not CALLS:
        names = value("'wick/kernel/ground/record.CallNames'")
        for i in range(2):
            for n, name in enumerate(text(names[i]["Text"]).split(" ")):
                CALLS[int(names[i]["First"]) + n] = name
    return CALLS.get(number, "call %d" % number)


def program_threads():
    table = value("'wick/kernel/ground/record.Threads'")
    type_ = gdb.lookup_type("wick/kernel/ground/record.Thread").pointer()
    raw = memory(int(table.address), table.type.sizeof)
    for i in range(0, len(raw), 8):
        address = int.from_bytes(raw[i:i + 8], "little")
        if address:
            yield gdb.Value(address).cast(type_).dereference()


class Threads(gdb.Command):
    """Lists the threads of the program: the system call that each is in, its registers, its last calls."""

    def __init__(self):
        super().__init__("wick threads", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for t in program_threads():
            regs, made = t["Regs"].dereference(), int(t["Made"])
            kept = t["Calls"].type.range()[1] + 1
            on = int(regs["OnCPU"])
            if int(t["Inside"]):
                arguments = ", ".join("%#x" % int(regs[r]) for r in ("DI", "SI", "DX", "R10", "R8", "R9"))
                where = "in %s(%s)" % (call_name(int(t["Calls"][(made - 1) % kept]["Number"])), arguments)
            elif on:
                where = "in ring 3 on cpu %d, which has its registers (info threads)" % (on - 1)
            else:
                where = "in ring 3, or about to return there"
            print("thread %d %s" % (int(t["TID"]), where))
            if not on:
                self.registers(regs)
            recent = []
            for n in range(min(made, kept)):
                c = t["Calls"][(made - 1 - n) % kept]
                pending = n == 0 and int(t["Inside"])
                recent.append(call_name(int(c["Number"])) + ("" if pending else "=%s" % result(int(c["Result"]))))
            print("    last calls, newest first: " + " ".join(recent))

    @staticmethod
    def registers(regs):
        names = ("IP", "SP", "Flags", "AX", "BX", "CX", "DX", "SI", "DI", "BP", "R8", "R9", "R10", "R11", "R12", "R13",
                 "R14", "R15", "FSBase", "GSBase")
        for i in range(0, len(names), 6):
            print("    " + " ".join("%s %#x" % (n, int(regs[n])) for n in names[i:i + 6]))


def result(v):
    return "-%d" % (2**64 - v) if v > 2**64 - 4096 else "%#x" % v


class Packets(gdb.Command):
    """Shows the last packets of the network card in hexadecimal, the oldest first."""

    def __init__(self):
        super().__init__("wick packets", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        table = value("'wick/kernel/ground/record.Packets'")
        size = table[0].type.sizeof
        kept = [gdb.Value(memory(int(table.address) + i * size, size), table[0].type)
                for i in range(table.type.range()[1] + 1)]
        for p in sorted((p for p in kept if int(p["Number"])), key=lambda p: int(p["Number"])):
            data = bytes(int(p["Data"][i]) for i in range(int(p["Size"])))
            print("#%d %.6f %s%s %d %s" % (int(p["Number"]), int(p["TimeNS"]) / 1e9, ">" if int(p["Sent"]) else "<",
                                           " dropped" if int(p["Dropped"]) else "", int(p["WireSize"]), data.hex()))


class All(gdb.Command):
    """Shows all that the other commands do."""

    def __init__(self):
        super().__init__("wick all", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for command in ("cpus", "threads", "packets", "kernel-threads", "goroutines all"):
            print("\n" + command + ":")
            gdb.execute("wick " + command)


for command in (Wick, Goroutines, Goroutine, CPUs, KernelThreads, Threads, Packets, All):
    command()

# The paths in the debug information have no folder in front: wick/kernel/… and those of the toolchain.
gdb.execute("set substitute-path wick " + os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
gdb.execute("set pagination off")
