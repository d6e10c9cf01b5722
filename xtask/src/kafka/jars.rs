//! The jars: fetched once by Maven, then offline for ever.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Version;
use crate::process;

/// Group, artifact, version. Kafka's own POM leaves the logging out.
fn dependencies(version: Version) -> Vec<(&'static str, &'static str, &'static str)> {
    let mut all = vec![("org.apache.kafka", "kafka_2.13", version.full())];
    match version {
        Version::V3_9 => all.extend([("org.slf4j", "slf4j-reload4j", "1.7.36"), ("ch.qos.reload4j", "reload4j", "1.2.25")]),
        Version::V4 => {
            let log4j = ["log4j-api", "log4j-core", "log4j-slf4j-impl", "log4j-1.2-api"];
            all.extend(log4j.map(|artifact| ("org.apache.logging.log4j", artifact, "2.24.3")));
        }
    }
    all
}

fn pom(version: Version) -> String {
    let dependencies: String = dependencies(version)
        .into_iter()
        .map(|(group, artifact, version)| {
            format!("    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>\n")
        })
        .collect();
    format!(
        r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>lockstep</groupId>
  <artifactId>kafka-for-tests</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
{dependencies}  </dependencies>
</project>
"#
    )
}

/// The folder of the jars; fetches them if they are not there. A fetch that broke off is begun anew.
pub fn fetch(home: &Path, version: Version) -> Result<PathBuf> {
    let libs = home.join("libs");
    let whole = home.join("libs.whole");
    if whole.is_file() {
        return Ok(libs);
    }
    println!("kafka: fetching the jars of {} (about 50 MB, once)", version.full());
    std::fs::create_dir_all(home).with_context(|| format!("cannot make {}", home.display()))?;
    let pom_file = home.join("pom.xml");
    std::fs::write(&pom_file, pom(version))?;
    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode", "--file"]).arg(&pom_file).args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    // A network that swallows everything is told in a minute or two, not in half an hour.
    maven.args(["-Daether.connector.connectTimeout=10000", "-Daether.connector.requestTimeout=60000"]);
    process::run(maven.arg(format!("-DoutputDirectory={}", libs.display()))).context("Maven could not fetch Kafka's jars: is the network there?")?;
    std::fs::write(&whole, "")?;
    Ok(libs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_brings_its_own_logging() {
        assert!(pom(Version::V3_9).contains("<artifactId>slf4j-reload4j</artifactId>"));
        assert!(!pom(Version::V4).contains("reload4j"));
        assert!(pom(Version::V4).contains("<artifactId>kafka_2.13</artifactId><version>4.3.1</version>"));
    }
}
