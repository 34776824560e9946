use super::*;

fn present() -> Present<'static> {
    Present {
        version: "1.2.3",
        instance: "n1",
        started: "2026-11-23T12:00:00.5Z".parse().unwrap(),
        sessions: 3,
        upstreams: vec![Status {
            id: "hotels".parse().unwrap(),
            kind: "http",
            breaker: State::Open,
            in_flight: 2,
        }],
    }
}

fn call(tool: Tool<'static>) -> Ended<'static> {
    Ended {
        method: "tools/call",
        tool,
        server: Some("hotels"),
        revision: Some("2026-07-28"),
        duration: Duration::from_millis(30),
    }
}

fn check(metrics: &Metrics, expected: &[&str]) {
    let text = metrics.text(&present());
    for line in expected {
        let found = text.lines().any(|known| known == *line);
        assert!(found, "{line} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn calls_are_told_apart_by_what_they_were_and_how_they_ended() {
    let metrics = Metrics::default();
    metrics.ended(call(Tool::Listed("search")), How::Sent(Outcome::Ok, None));
    metrics.ended(
        call(Tool::Listed("search")),
        How::Sent(Outcome::Timeout, Some("GW-021")),
    );
    metrics.ended(call(Tool::Unknown), How::Refused("POL-001"));
    let of = |tool, error| {
        format!(
            r#"mcp_method_name="tools/call",gen_ai_tool_name="{tool}",mcp_protocol_version="2026-07-28",airside_server="hotels",error_type="{error}""#
        )
    };
    let name = "mcp_server_operation_duration_seconds";
    check(
        &metrics,
        &[
            "# TYPE mcp_server_operation_duration_seconds histogram",
            "# UNIT mcp_server_operation_duration_seconds seconds",
            &format!("{name}_count{{{}}} 1", of("search", "")),
            &format!("{name}_bucket{{le=\"0.02\",{}}} 0", of("search", "")),
            &format!("{name}_bucket{{le=\"0.05\",{}}} 1", of("search", "")),
            &format!("{name}_count{{{}}} 1", of("search", "GW-021")),
            &format!("{name}_count{{{}}} 1", of("_OTHER", "POL-001")),
        ],
    );
}

#[test]
fn present_state_is_read_when_it_is_asked_for() {
    let metrics = Metrics::default();
    metrics.refused("ID-001");
    metrics.lost();
    let hit = |rule: &'static str| Hit {
        rule: rule.into(),
        action: "redact".into(),
        place: "/result".into(),
        fingerprint: "f".into(),
    };
    metrics.found(&[hit("card.number"), hit("card.number")]);
    check(
        &metrics,
        &[
            r#"target_info{service_name="airside",service_version="1.2.3",service_instance_id="n1"} 1"#,
            "process_start_time_seconds 1795435200.5",
            "airside_sessions 3",
            r#"airside_upstream_breaker_open{airside_server="hotels"} 1"#,
            r#"airside_upstream_active_requests{airside_server="hotels"} 2"#,
            r#"airside_requests_refused_total{error_type="ID-001"} 1"#,
            r#"airside_firewall_hits_total{rule="card.number",action="redact"} 2"#,
            "airside_records_lost_total 1",
        ],
    );
}

#[test]
fn nothing_that_others_make_up_adds_series() {
    let metrics = Metrics::default();
    let names: Vec<String> = (0..2 * MAX_TOOLS).map(|n| format!("tool-{n}")).collect();
    for name in &names {
        let listed = Ended {
            tool: Tool::Listed(name),
            ..call(Tool::None)
        };
        metrics.ended(listed, How::Sent(Outcome::Ok, None));
        let method = Ended {
            method: name,
            ..call(Tool::None)
        };
        metrics.ended(method, How::Sent(Outcome::RpcError, Some(name)));
    }
    let text = metrics.text(&present());
    let series = text.lines().filter(|line| line.contains("_count{")).count();
    assert_eq!(series, MAX_TOOLS + 2);
    assert!(!text.contains("tool-512"), "{text}");
}

#[test]
fn streams_have_no_duration() {
    let metrics = Metrics::default();
    let listen = Ended {
        method: "subscriptions/listen",
        ..call(Tool::None)
    };
    metrics.ended(listen, How::Sent(Outcome::Cancelled, None));
    assert!(!metrics.text(&present()).contains("_count{"));
}
