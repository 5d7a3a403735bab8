package tuning

// A Tuner changes this host. The zero value changes the real one.
type Tuner struct {
	// Root is the directory that is taken for /, for tests. "": /.
	Root string
}

// ApplyOptions say how far [Tuner.Apply] goes.
type ApplyOptions struct {
	// Persist also writes the files below /etc that make the settings last over a boot.
	Persist bool

	// DryRun changes nothing, and says what would be done.
	DryRun bool

	// PID is the process whose RLIMIT_NOFILE is raised by prlimit(2), so that what is started from it
	// has that limit. 0: the process that called this one, and if that is sudo(8), its caller.
	PID int
}

// An Outcome is what became of a [Step].
type Outcome uint8

const (
	Done    Outcome = iota
	Already         // it was so
	Would           // in a dry run
	Left            // on purpose, and Step.Why says why
	Failed          // and Step.Why says why, Step.Fix what the operator has to do
)

// A Step is one thing that was done, or could not be.
type Step struct {
	What    string  `json:"what"` // as net.core.somaxconn, /etc/sysctl.d/90-dormouse.conf, RLIMIT_NOFILE of bash (412)
	From    string  `json:"from,omitempty"`
	To      string  `json:"to,omitempty"`
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why,omitempty"`
	Fix     string  `json:"fix,omitempty"`
}

// placeholder until apply.go is filled
func (t Tuner) Apply(r *Report, o ApplyOptions) ([]Step, error) { return nil, nil }

// placeholder
func (t Tuner) Revert(dryRun bool) ([]Step, error) { return nil, nil }
