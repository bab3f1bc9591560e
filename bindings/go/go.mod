module aicp.dev/go

go 1.19
