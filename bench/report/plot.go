package report

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// Sizes of a plot, in pixels.
const (
	plotWidth  = 760
	labelWidth = 220 // names of the guests, to the left
	textWidth  = 90  // medians, to the right
	rowHeight  = 30
	axisHeight = 34
	headHeight = 34
)

// colours of the kernels; others are grey.
var colours = map[string]string{subject: "#0a7e8c", reference: "#a8325e", "tiny": "#c78a1e"}

// plot draws a figure: for each guest a bar up to its median, the interval of the median as a line, and every value as a dot.
func plot(f *figure, rows []row) []byte {
	largest := 0.0
	for _, w := range rows {
		for _, v := range w.values {
			largest = math.Max(largest, v)
		}
	}
	step, end := axis(largest)
	height := headHeight + rowHeight*len(rows) + axisHeight
	x := func(v float64) float64 { return labelWidth + v/end*(plotWidth-labelWidth-textWidth) }

	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n",
		plotWidth, height, plotWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWidth, height)
	fmt.Fprintf(&b, `<text x="%d" y="20" font-weight="bold">%s</text>`+"\n", labelWidth, html.EscapeString(f.title+", "+f.unit))
	bottom := headHeight + rowHeight*len(rows)
	for i := 0; float64(i)*step <= end*1.0001; i++ {
		v := float64(i) * step
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#ddd"/>`, x(v), headHeight, x(v), bottom)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#555">%.6g</text>`+"\n", x(v), bottom+18, v)
	}
	for i, w := range rows {
		plotRow(&b, &w, headHeight+float64(i)*rowHeight+rowHeight/2, x)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// plotRow draws one guest at height y.
func plotRow(b *bytes.Buffer, w *row, y float64, x func(float64) float64) {
	colour := colours[w.guest.Name]
	if colour == "" {
		colour = "#777"
	}
	fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`, labelWidth-8, y+4, html.EscapeString(w.guest.String()))
	fmt.Fprintf(b, `<rect x="%d" y="%.1f" width="%.1f" height="16" fill="%s" fill-opacity="0.35"/>`,
		labelWidth, y-8, x(w.median.Value)-labelWidth, colour)
	if len(w.values) > 1 {
		fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="2"/>`,
			x(w.median.Low), y, x(w.median.High), y, colour)
		for _, v := range w.values {
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="2" fill="%s"/>`, x(v), y, colour)
		}
	}
	fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", plotWidth-8, y+4, number(w.median.Value))
}

// axis returns round steps for an axis from 0, and its end.
func axis(largest float64) (step, end float64) {
	if largest <= 0 {
		return 1, 1
	}
	power := math.Pow(10, math.Floor(math.Log10(largest)))
	for _, m := range []float64{0.1, 0.2, 0.5, 1, 2} {
		if step = m * power; largest/step <= 8 {
			break
		}
	}
	return step, math.Ceil(largest/step) * step
}
