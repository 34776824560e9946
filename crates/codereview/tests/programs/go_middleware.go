package server

import (
	"fmt"
	"net/http"
	"strings"
)

func slash(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") {
			target := *r.URL
			target.Path = strings.TrimSuffix(r.URL.Path, "/")
			http.Redirect(w, r, target.String(), http.StatusPermanentRedirect) // BAD open-redirect
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (t *Table) Forecast(params map[string]any) (any, error) {
	horizon, ok := params["horizon"].(int)
	if !ok {
		return nil, fmt.Errorf("no horizon")
	}
	return t.db.Query(fmt.Sprintf("SELECT * FROM forecast LIMIT %d", horizon))
}
