package reports

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browser is a headless Chromium; the test is left out where there is none.
func browser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium-headless-shell", "chromium", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium on this host: make report-shot installs one")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Run(ctx)) // starts it; pages are tabs of it
	return ctx
}

// view is how a page is looked at.
type view struct {
	name  string
	width int64
	dark  bool
	print bool
}

func views() []view {
	return []view{
		{name: "desktop", width: 1280}, {name: "desktop-dark", width: 1280, dark: true},
		{name: "phone", width: 390}, {name: "phone-dark", width: 390, dark: true},
		{name: "print", width: 794, print: true}, // A4 at 96 dpi
	}
}

// seen is what a page did and looks like.
type seen struct {
	complaints []string // of the console
	requests   []string // but the page itself
	Title      string
	Text       string
	Width      float64 // of what it needs
	Background string
	Shapes     int // of its drawings that have a size
	Styled     int // style rules that are in force
	picture    []byte
}

// look opens a file as a view does.
func look(t *testing.T, parent context.Context, file string, v view) seen {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent)
	defer cancel()
	address := (&url.URL{Scheme: "file", Path: file}).String()
	var mu sync.Mutex
	var s seen
	chromedp.ListenTarget(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if e.Request.URL != address && !strings.HasPrefix(e.Request.URL, "data:") {
				s.requests = append(s.requests, e.Request.URL)
			}
		case *runtime.EventConsoleAPICalled:
			s.complaints = append(s.complaints, fmt.Sprintf("console.%s", e.Type))
		case *runtime.EventExceptionThrown:
			s.complaints = append(s.complaints, e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			s.complaints = append(s.complaints, e.Entry.Text)
		}
	})
	scheme, media := "light", ""
	if v.dark {
		scheme = "dark"
	}
	if v.print {
		scheme, media = "dark", "print" // paper is white whatever the screen is
	}
	require.NoError(t, chromedp.Run(ctx,
		network.Enable(), log.Enable(), runtime.Enable(),
		emulation.SetDeviceMetricsOverride(v.width, 900, 1, v.width < 500),
		emulation.SetEmulatedMedia().WithMedia(media).WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		chromedp.Navigate(address),
		chromedp.Evaluate(`({
			Title: document.title,
			Text: document.body.innerText,
			Width: document.documentElement.scrollWidth,
			Background: getComputedStyle(document.body).backgroundColor,
			Shapes: [...document.querySelectorAll("svg rect, svg circle")].filter(e => e.getBoundingClientRect().width > 0).length,
			Styled: [...document.styleSheets].reduce((n, s) => n + s.cssRules.length, 0),
		})`, &s),
		chromedp.FullScreenshot(&s.picture, 100),
		chromedp.Sleep(100*time.Millisecond), // what comes late
	))
	mu.Lock()
	defer mu.Unlock()
	return s
}
