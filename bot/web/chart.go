package web

import (
	"fmt"
	"time"

	"countersign/bot/access"
)

// A bar is one line of a bar chart.
type bar struct {
	Label string
	Count int
	Of    int    // what fills the whole width
	Text  string // the value in words
}

// Width is the length of the bar in a picture that is 1000 wide. What is there
// can be seen, however little it is.
func (b bar) Width() int {
	if b.Count <= 0 || b.Of <= 0 {
		return 0
	}
	return max(6, 1000*b.Count/b.Of)
}

// After is where a bar begins that follows another.
func (b bar) After(o bar) int { return o.Width() }

// waits are how long decisions took.
func waits(counts [7]int) (bars []bar, total int) {
	top := 0
	for _, n := range counts {
		total += n
		top = max(top, n)
	}
	for i, n := range counts {
		label := "longer"
		if i < len(access.WaitSteps) {
			label = "up to " + lasting(access.WaitSteps[i])
		}
		text := grouped(n)
		if total > 0 {
			text = fmt.Sprintf("%s (%d%%)", text, (200*n+total)/(2*total))
		}
		bars = append(bars, bar{label, n, top, text})
	}
	return bars, total
}

// stacks is a chart of stacked bars, one for each stretch of days.
type stacks struct {
	Columns []column
	Fates   []legend
	Top     int // what the whole height is
	Half    int // what its middle is; 0 where that is no whole number
	Total   int
	Width   int // of the picture, whose height is stackHeight
	Step    int // days in a column
	Ticks   []time.Time
	Years   bool // whether the same day is in it more than once
}

// Day names a day, with its year where that does not go without saying.
func (s stacks) Day(t time.Time) string {
	if s.Years {
		return t.Format("2 Jan 2006")
	}
	return t.Format("2 Jan")
}

// Tick names a day below the picture, where there is little room.
func (s stacks) Tick(t time.Time) string {
	if s.Years {
		return t.Format("Jan 2006")
	}
	return s.Day(t)
}

// Height is that of the picture.
func (stacks) Height() int { return stackHeight }

const (
	stackHeight = 160
	columnWidth = 20
	columnRoom  = 26
)

// A column is one bar of them.
type column struct {
	From, Last time.Time // first and last day
	X          int
	Parts      []part
	Total      int
	Counts     []int // in the order of the fates
}

// One reports whether the column is one day.
func (c column) One() bool { return c.From.Equal(c.Last) }

// A part is one colour of a column.
type part struct {
	Fate         string
	Count        int
	X, Y, Height int
}

// A legend names a colour and how often it occurs.
type legend struct {
	Fate  string
	Class string
	Count int
}

// class is how the style sheet names a fate.
func class(f access.Fate) string {
	if f == access.Lapsed {
		return "lapsed"
	}
	return string(f)
}

// So many bars a picture of all time has at least and at most: one alone would be
// as wide as the page.
const minColumns, maxColumns = 14, 60

// stacked puts days into columns of one width, without gaps.
func stacked(days []access.Day, x span, now time.Time) stacks {
	s := stacks{Step: x.Step}
	count := 0
	first := today(now).AddDate(0, 0, 1-x.Days)
	if x.Days == 0 {
		first = today(now).AddDate(0, 0, 1-minColumns)
		if len(days) > 0 && days[0].Date.Before(first) {
			first = days[0].Date
		}
		whole := int(today(now).Sub(first)/(24*time.Hour)) + 1
		s.Step = max(1, (whole+maxColumns-1)/maxColumns)
		count = (whole + s.Step - 1) / s.Step
	} else {
		count = x.Days / x.Step
	}
	for i := range count {
		from := first.AddDate(0, 0, i*s.Step)
		s.Columns = append(s.Columns, column{From: from, Last: from.AddDate(0, 0, s.Step-1), X: i * columnRoom, Counts: make([]int, len(access.Fates))})
	}
	s.Years = count*s.Step > 365
	s.Width = max(1, count)*columnRoom - (columnRoom - columnWidth)
	s.fill(days, first)
	s.draw()
	for i := 0; i < count; i += max(1, (count+4)/5) {
		s.Ticks = append(s.Ticks, s.Columns[i].From)
	}
	return s
}

// fill counts the days.
func (s *stacks) fill(days []access.Day, first time.Time) {
	sums := make([]int, len(access.Fates))
	for _, d := range days {
		i := int(d.Date.Sub(first)/(24*time.Hour)) / s.Step
		if d.Date.Before(first) || i >= len(s.Columns) {
			continue
		}
		for k, fate := range access.Fates {
			n := d.Fates[fate]
			s.Columns[i].Counts[k] += n
			s.Columns[i].Total += n
			sums[k] += n
			s.Total += n
		}
		s.Top = max(s.Top, s.Columns[i].Total)
	}
	for k, fate := range access.Fates {
		s.Fates = append(s.Fates, legend{string(fate), class(fate), sums[k]})
	}
	s.Top = rounded(s.Top)
	if s.Top%2 == 0 {
		s.Half = s.Top / 2
	}
}

// draw gives each part its place. A part that is there is seen.
func (s *stacks) draw() {
	for i := range s.Columns {
		c := &s.Columns[i]
		y, sum := stackHeight, 0
		for k, n := range c.Counts {
			if n == 0 {
				continue
			}
			sum += n
			top := stackHeight - stackHeight*sum/s.Top
			if top >= y {
				top = y - 1
			}
			c.Parts = append(c.Parts, part{class(access.Fates[k]), n, c.X, top, y - top})
			y = top
		}
	}
}

// rounded is the next number that an axis may end with.
func rounded(n int) int {
	for unit := 1; ; unit *= 10 {
		for _, m := range []int{1, 2, 4, 6, 8, 10} {
			if m*unit >= n {
				return m * unit
			}
		}
	}
}
