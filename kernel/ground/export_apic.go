package ground

// APIC tells which of the newer hardware the machine offers, and ground therefore uses: local APICs in x2APIC mode, timers that
// take the time of the TSC, and a TSC whose frequency KVM tells and nobody measures.
func APIC() (x2, deadline, kvmClock bool) {
	return x2APIC != 0, timerMode == lvtDeadline, fromKVM != 0
}
