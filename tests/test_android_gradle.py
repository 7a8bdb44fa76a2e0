"""The Gradle files of `export/android` against the poms, which are what is built and tested."""

import pathlib
import re
import xml.etree.ElementTree as ET

import pytest

tomllib = pytest.importorskip("tomllib", reason="Python 3.11 or later reads TOML")

ANDROID = pathlib.Path(__file__).parents[1] / "export" / "android"
MODULES = ("library", "library-coroutines", "sample")
POM = {"m": "http://maven.apache.org/POM/4.0.0"}
SCOPES = {"compile": {"api", "implementation"}, "provided": {"compileOnly"}}
CATALOG = tomllib.loads((ANDROID / "gradle/libs.versions.toml").read_text())
PROPERTIES = {
    element.tag.split("}")[1]: element.text
    for element in ET.parse(ANDROID / "pom.xml").find("m:properties", POM)
    if isinstance(element.tag, str)
}


def text(element, name, default=None):
    value = element.findtext(f"m:{name}", default, POM)
    return PROPERTIES.get(value[2:-1], value) if value and value.startswith("${") else value


def from_maven(module):
    """What a module's pom lists but for tests: group, name and version of each, and its scope."""
    found = {}
    for dependency in ET.parse(ANDROID / module / "pom.xml").findall("m:dependencies/m:dependency", POM):
        group, name, scope = text(dependency, "groupId"), text(dependency, "artifactId"), text(dependency, "scope")
        if scope == "test" or name == "android-all":  # Gradle takes the framework from the SDK
            continue
        if name == "tensorflow-lite-classes":
            for item in ET.parse(ANDROID / name / "pom.xml").iterfind(".//m:artifactItem", POM):
                found[text(item, "groupId"), text(item, "artifactId"), text(item, "version")] = scope
        elif group == "org.tinytl":
            found["project", {"tinytl": ":library"}[name], ""] = scope or "compile"
        else:
            found[group, name, text(dependency, "version")] = scope or "compile"
    return found


def from_gradle(module):
    libraries = {name.replace("-", "."): value for name, value in CATALOG["libraries"].items()}
    block = (ANDROID / module / "build.gradle.kts").read_text().split("\ndependencies {\n")[1].split("\n}")[0]
    found = {}
    for line in block.splitlines():
        scope, alias, project = re.fullmatch(r' {4}(\w+)\((?:libs\.([\w.]+)|project\("(.+)"\))\)', line).groups()
        if project:
            found["project", project, ""] = scope
        else:
            library = libraries[alias]
            group, name = library["module"].split(":")
            found[group, name, CATALOG["versions"][library["version"]["ref"]]] = scope
    return found


@pytest.mark.parametrize("module", MODULES)
def test_gradle_has_the_dependencies_of_maven(module):
    maven, gradle = from_maven(module), from_gradle(module)
    assert len(maven) >= 3
    assert sorted(gradle) == sorted(maven)
    for dependency, scope in gradle.items():
        packaged = module == "sample" and dependency[0] == "org.tensorflow"  # an app brings the runtime along
        assert scope in ({"implementation"} if packaged else SCOPES[maven[dependency]]), dependency


def test_gradle_has_the_modules_of_maven():
    modules = [element.text for element in ET.parse(ANDROID / "pom.xml").iterfind("m:modules/m:module", POM)]
    modules.remove("tensorflow-lite-classes")  # Gradle can depend on an AAR
    included = re.search(r"include\((.*)\)", (ANDROID / "settings.gradle.kts").read_text())[1]
    assert re.findall(r'":(.+?)"', included) == modules == list(MODULES)


def test_every_library_of_the_catalog_is_used():
    used = {dependency[:2] for module in MODULES for dependency in from_gradle(module)} - {("project", ":library")}
    assert used == {tuple(library["module"].split(":")) for library in CATALOG["libraries"].values()}


def test_versions_are_those_of_the_poms():
    assert CATALOG["versions"]["kotlin"] == PROPERTIES["kotlin.version"]
    for module in MODULES:
        content = (ANDROID / module / "build.gradle.kts").read_text()
        assert "minSdk = 24\n" in content  # the framework that Maven compiles against is that of Android 7, API 24
        assert PROPERTIES["android-all.version"].startswith("7.0.0_")
    assert 'noCompress += "tflite"' in (ANDROID / "sample/build.gradle.kts").read_text()
