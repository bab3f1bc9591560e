package aicp

import "aicp.dev/go/internal/capi"

// Version is the version of the library in use, "major.minor.patch".
func Version() string { return capi.Text(capi.Aicp_version()) }

// ParseMoney reads a decimal amount of US dollars ("12", "-0.5", "1e-6") into nano-dollars.
func ParseMoney(text string) (int64, error) {
	var nano int64
	e := detail()
	err := failed(capi.Aicp_money_parse(text, &nano, e), e)
	return nano, err
}

// FormatMoney writes nano-dollars as an exact decimal ("0.0000125").
func FormatMoney(nano int64) string {
	room := make([]byte, capi.AICP_MONEY_TEXT_SIZE)
	n := capi.Aicp_money_format(nano, &room[0])
	return string(room[:n])
}
