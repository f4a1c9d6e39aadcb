//! The two text formats of Prometheus: `OpenMetrics` for clients that ask for it, and the older one that all tools
//! read.

use std::fmt::Write as _;

/// Media type of `OpenMetrics` (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Media type of the older format (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
pub(super) const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether a request's `Accept` names `OpenMetrics`.
pub(super) fn wants_open_metrics(accept: Option<&str>) -> bool {
    accept.is_some_and(|accept| accept.contains("application/openmetrics-text"))
}

/// Converts `OpenMetrics` to the older format, in which a counter's family is named like its samples, an `info` is a
/// gauge, and there are no units and no end mark.
pub(super) fn plain(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        let words = line.strip_prefix("# ").and_then(|line| line.split_once(' '));
        match words {
            Some(("HELP", rest)) => help = rest.split_once(' ').map(|(_, help)| help),
            Some(("TYPE", rest)) => {
                let (name, sort) = rest.split_once(' ').unwrap_or((rest, "untyped"));
                let (suffix, sort) = match sort {
                    "counter" => ("_total", sort),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    _ => ("", sort),
                };
                if let Some(help) = help.take() {
                    let _ = writeln!(text, "# HELP {name}{suffix} {help}");
                }
                let _ = writeln!(text, "# TYPE {name}{suffix} {sort}");
            }
            _ if line.starts_with('#') => {}
            _ => {
                text += line;
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_named_as_the_older_format_names_them() {
        let open_metrics = "# HELP a What\\n it is.\n# TYPE a counter\n# UNIT a seconds\na_total{b=\"# c\"} 1\n\
                            # HELP d Of it.\n# TYPE d info\nd_info{version=\"1\"} 1\n# TYPE e gauge\ne 2.5\n# EOF\n";
        let older = "# HELP a_total What\\n it is.\n# TYPE a_total counter\na_total{b=\"# c\"} 1\n\
                     # HELP d_info Of it.\n# TYPE d_info gauge\nd_info{version=\"1\"} 1\n# TYPE e gauge\ne 2.5\n";
        assert_eq!(plain(open_metrics), older);
    }
}
