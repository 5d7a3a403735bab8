// Package report is all that a person sees of a run: the live line while it goes on, the summary at its
// end, the JSON file, the page with the charts, and the comparison of two runs.
//
// Promises:
//
//  1. A page is one file: it loads nothing, and may be opened where there is no network.
//  2. What a target said is text, on the terminal as in the page: no escape sequence and no markup of it
//     is obeyed.
//  3. What cannot be known is left out or said to be unknown, never drawn as 0.
//  4. A file is replaced whole or not at all.
package report
