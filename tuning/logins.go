package tuning

import "fmt"

// A limits.d(5) file whose nofile is above fs.nr_open locks out whom it is for: setrlimit(2) refuses (do_prlimit
// in kernel/sys.c), and pam_limits(8) answers PAM_PERM_DENIED. So it is written only where fs.nr_open is high
// enough now and will be after the next boot, and fs.nr_open is not taken back while it lies there.

// guardLogins holds back a file of limits.d(5) for which fs.nr_open would be too low. sysctls is the file that
// raises it at boot, nrOpen what it will be then.
func guardLogins(c, sysctls change, nrOpen int64) change {
	f, ok := c.(*fileChange)
	if !ok {
		return c
	}
	_, f.nofile = nofileOf(f.text)
	if f.nofile <= nrOpenDefault {
		return f
	}
	s := sysctls.step()
	if s.Outcome != Would && s.Outcome != Already || nrOpen < f.nofile {
		if s.Outcome != Would && s.Outcome != Already {
			nrOpen = nrOpenDefault
		}
		step := f.Step
		step.Outcome, step.Why = Left, noLogins(f.nofile, nrOpen, "after the next boot")
		step.Fix = fmt.Sprintf("set fs.nr_open to %d or more where it is read last at boot, then tune apply again", f.nofile)
		return noChange(step)
	}
	f.sysctls, _ = sysctls.(*fileChange)
	return f
}

// refuse says why a file is not written after all, though it was planned: what it needs has failed.
func (c *fileChange) refuse(t Tuner) string {
	if c.nofile == 0 {
		return ""
	}
	if now, err := t.host().number(sysctlFile("fs.nr_open")); err != nil || now < c.nofile {
		return noLogins(c.nofile, now, "now")
	}
	if s := c.sysctls; s != nil {
		if now, _, err := t.fragment(s.path); err != nil || string(now) != s.text {
			return noLogins(c.nofile, nrOpenDefault, "after the next boot, as "+s.path+" could not be written")
		}
	}
	return ""
}

func noLogins(needed, nrOpen int64, when string) string {
	return fmt.Sprintf("fs.nr_open is %d %s: with a nofile of %d users could not log in", nrOpen, when, needed)
}

// holdForLogins leaves fs.nr_open as it is while our file of limits.d(5) could not be taken back.
func (t Tuner) holdForLogins(v savedValue) (Step, bool) {
	text, exists, err := t.fragment(limitsConf)
	_, most := nofileOf(string(text))
	found, _ := integers(v.Found)
	if err == nil && (!exists || len(found) == 1 && most <= found[0]) {
		return Step{}, false
	}
	return Step{
		What: nameOf(v.Path), To: v.Found, Outcome: Left,
		Why: limitsConf + " is still there, and with a nofile above fs.nr_open users could not log in",
		Fix: "take nofile out of " + limitsConf + ", then dormouse tune revert again",
	}, true
}
