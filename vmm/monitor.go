package vmm

import (
	"encoding/json"
	"errors"
	"io"
	"sync"
)

// Monitor is QEMU's monitor by its machine protocol (docs/interop/qmp-spec.txt): a greeting, then a line of JSON for each
// request and each answer, with events in between. It is safe for concurrent use.
type Monitor struct {
	io.ReadWriteCloser // to QEMU

	mu sync.Mutex
	in *json.Decoder // guarded by mu; nil before the greeting
}

// Human runs a command of the human monitor and returns what it prints, errors too.
func (m *Monitor) Human(line string) (string, error) {
	answer, err := m.Execute("human-monitor-command", map[string]any{"command-line": line})
	if err != nil {
		return "", err
	}
	var text string
	err = json.Unmarshal(answer, &text)
	return text, err
}

// Execute runs a command and returns its answer.
func (m *Monitor) Execute(name string, arguments any) (json.RawMessage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.in == nil {
		in := json.NewDecoder(m)
		var greeting struct{ QMP json.RawMessage }
		if err := in.Decode(&greeting); err != nil {
			return nil, err
		}
		if greeting.QMP == nil {
			return nil, errors.New("the monitor does not greet")
		}
		m.in = in
		if _, err := m.requestLocked("qmp_capabilities", nil); err != nil {
			return nil, err
		}
	}
	return m.requestLocked(name, arguments)
}

func (m *Monitor) requestLocked(name string, arguments any) (json.RawMessage, error) {
	request := map[string]any{"execute": name}
	if arguments != nil {
		request["arguments"] = arguments
	}
	b, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	if _, err := m.Write(append(b, '\n')); err != nil {
		return nil, err
	}
	for {
		var answer struct {
			Event  string
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		if err := m.in.Decode(&answer); err != nil {
			return nil, err
		}
		switch {
		case answer.Error != nil:
			return nil, errors.New(answer.Error.Desc)
		case answer.Return != nil:
			return answer.Return, nil
		}
	}
}
