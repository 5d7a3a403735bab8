package poller

import "sync"

// A mailbox holds the tasks of one connection, and the bytes that its handler did not take while it
// is not read. A connection has one only while it holds something. Its connection's lock guards it.
type mailbox struct {
	tasks   []Task
	first   int
	running bool   // a worker has the connection, or it is queued for one
	held    []byte // to be given to OnData before anything is read
}

var mailboxes = sync.Pool{New: func() any { return &mailbox{tasks: make([]Task, 0, 4)} }}

// keptTasks is the most task slots that a pooled mailbox keeps (4 KiB).
const keptTasks = 256

func newMailbox() *mailbox { return mailboxes.Get().(*mailbox) }

func (m *mailbox) release() {
	clear(m.tasks)
	if cap(m.tasks) > keptTasks {
		m.tasks = nil
	}
	*m = mailbox{tasks: m.tasks[:0]}
	mailboxes.Put(m)
}

func (m *mailbox) waiting() int { return len(m.tasks) - m.first }

func (m *mailbox) push(t Task) { m.tasks = append(m.tasks, t) }

// next returns what pop would, or nil.
func (m *mailbox) next() Task {
	if m.first == len(m.tasks) {
		return nil
	}
	return m.tasks[m.first]
}

func (m *mailbox) pop() Task {
	if m.first == len(m.tasks) {
		return nil
	}
	t := m.tasks[m.first]
	m.tasks[m.first] = nil
	m.first++
	if m.first == len(m.tasks) {
		m.tasks, m.first = m.tasks[:0], 0
	} else if m.first >= 64 {
		n := copy(m.tasks, m.tasks[m.first:])
		clear(m.tasks[n:])
		m.tasks, m.first = m.tasks[:n], 0
	}
	return t
}
