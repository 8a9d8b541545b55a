package e1000

// readAddress finds the Ethernet address: words 0 to 2 of the EEPROM [8254x 5.6.1], or, if it can't be
// read or holds none, what the card has in its first receive address.
func (d *Device) readAddress() error {
	if d.address = d.eepromAddress(); valid(d.address) {
		return nil
	}
	low, high := load(d, regRAL0), load(d, regRAH0)
	d.address = [6]byte{byte(low), byte(low >> 8), byte(low >> 16), byte(low >> 24), byte(high), byte(high >> 8)}
	if high&rahAV == 0 || !valid(d.address) {
		return ErrNoAddress
	}
	return nil
}

// eepromAddress returns the address in the EEPROM, all zeros if it can't be read.
func (d *Device) eepromAddress() (address [6]byte) {
	for i := range eerd(3) {
		word, ok := d.readEEPROM(i)
		if !ok {
			return [6]byte{}
		}
		address[2*i] = byte(word)
		address[2*i+1] = byte(word >> 8)
	}
	return address
}

// readEEPROM reads one word [8254x 13.4.4].
func (d *Device) readEEPROM(word eerd) (v uint16, ok bool) {
	store(d, regEERD, word<<eerdAddressShift|eerdSTART)
	var got eerd
	ok = d.poll(func() bool {
		got = load(d, regEERD)
		return got&eerdDONE != 0
	})
	return uint16(got >> eerdDataShift), ok
}

// valid tells whether a station can have the address: it isn't a group's, nor all zeros [IEEE 802.3 3.2.3].
func valid(address [6]byte) bool { return address[0]&1 == 0 && address != [6]byte{} }
