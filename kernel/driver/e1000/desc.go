package e1000

import "sync/atomic"

// rxDesc is a legacy receive descriptor, little-endian [8254x 3.2.3].
//
//	 63        48 47      40 39      32 31         16 15          0
//	+--------------------------------------------------------------+
//	|                        buffer address                        |
//	+------------+----------+----------+-------------+-------------+
//	|  special   |  errors  |  status  |  checksum   |   length    |
//	+------------+----------+----------+-------------+-------------+
//
// The card writes the second half back, DD last or with all the rest: who has loaded DD from it
// has the fields, and the frame, that belong to it.
type rxDesc struct {
	address   atomic.Uint64
	writeback atomic.Uint64
}

// rxWriteback is the second half of a receive descriptor.
type rxWriteback uint64

// Status bits of a receive descriptor, in place [8254x 3.2.3.1].
const (
	rxDD  rxWriteback = 1 << 32 // Descriptor Done
	rxEOP rxWriteback = 1 << 33 // End of Packet
)

func (w rxWriteback) done() bool        { return w&rxDD != 0 }
func (w rxWriteback) endOfPacket() bool { return w&rxEOP != 0 }

// length is the number of bytes in this descriptor's buffer, as the card says.
func (w rxWriteback) length() int { return int(w & 0xFFFF) }

func (w rxWriteback) errors() rxErrors { return rxErrors(w >> 40) }

// rxErrors are the error bits of a receive descriptor [8254x 3.2.3.2].
type rxErrors uint8

const (
	rxCE  rxErrors = 1 << 0 // CRC Error or Alignment Error
	rxSE  rxErrors = 1 << 1 // Symbol Error
	rxSEQ rxErrors = 1 << 2 // Sequence Error
	rxCXE rxErrors = 1 << 4 // Carrier Extension Error
	rxRXE rxErrors = 1 << 7 // RX Data Error

	// rxBad are those that mean a damaged frame; the two others are about checksums inside of it.
	rxBad = rxCE | rxSE | rxSEQ | rxCXE | rxRXE
)

// txDesc is a transmit descriptor, little-endian, of one of three kinds. The legacy one [8254x 3.3.3]:
//
//	 63        48 47      40 39 36 35 32 31      24 23    16 15          0
//	+----------------------------------------------------------------------+
//	|                            buffer address                            |
//	+------------+----------+-----+-----+----------+--------+--------------+
//	|  special   |   CSS    | rsv | STA |   CMD    |  CSO   |    length    |
//	+------------+----------+-----+-----+----------+--------+--------------+
//
// The context descriptor says what the card is to do to the frame in the data descriptors behind it [8254x 3.3.6]:
//
//	 63        48 47      40 39 36 35 32 31      24 23  20 19            0
//	+------------+----------+-----------+-------------------+------+-------+
//	|   TUCSE    |  TUCSO   |   TUCSS   |       IPCSE       | IPCSO| IPCSS |
//	+------------+----------+-----+-----+----------+--------+------+-------+
//	|    MSS     |  HDRLEN  | rsv | STA |  TUCMD   | DTYP 0 |    PAYLEN    |
//	+------------+----------+-----+-----+----------+--------+--------------+
//
// The data descriptor [8254x 3.3.7]:
//
//	 63        48 47      40 39 36 35 32 31      24 23  20 19            0
//	+----------------------------------------------------------------------+
//	|                            buffer address                            |
//	+------------+----------+-----+-----+----------+--------+--------------+
//	|  special   |  POPTS   | rsv | STA |   DCMD   | DTYP 1 |    length    |
//	+------------+----------+-----+-----+----------+--------+--------------+
type txDesc struct {
	address atomic.Uint64
	control atomic.Uint64
}

// txControl is the second half of a transmit descriptor.
type txControl uint64

const (
	txEOP  txControl = 1 << 24 // End of Packet [8254x 3.3.3.1]
	txIFCS txControl = 1 << 25 // Insert FCS
	txTSE  txControl = 1 << 26 // TCP Segmentation Enable, in context and data descriptors
	txRS   txControl = 1 << 27 // Report Status: write DD back
	txDEXT txControl = 1 << 29 // Descriptor Extension: not a legacy one
	txDD   txControl = 1 << 32 // Descriptor Done [8254x 3.3.3.2]

	txDTYPData txControl = 1 << 20 // of a data descriptor
	txIXSM     txControl = 1 << 40 // Insert IP Checksum, in data descriptors
	txTXSM     txControl = 1 << 41 // Insert TCP/UDP Checksum, in data descriptors

	txContextTCP  txControl = 1 << 24 // TUCMD of a context descriptor: TCP
	txContextIPv4 txControl = 1 << 25 // and IPv4
)

// Places in a context descriptor.
const (
	contextIPCSO  = 8
	contextIPCSE  = 16
	contextTUCSS  = 32
	contextTUCSO  = 40
	contextHDRLEN = 40
	contextMSS    = 48
)

// descSize is the size of each descriptor in bytes.
const descSize = 16
