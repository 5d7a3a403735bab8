package tuning

// A Fragment is a piece of configuration for the next boot, as text.
type Fragment struct {
	Name string // sysctl, limits, systemd
	Path string // where it belongs
	Text string
}

// placeholder until fragment.go is filled
func Fragments(g Goal) ([]Fragment, error) { return nil, nil }
