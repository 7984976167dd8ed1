from consumers.evidence.models import ProcedureDescription, Procedures


def test_procedures_can_be_found_by_anybody(caller):
    listed = Procedures.model_validate_json(caller.http.get("/v1/procedures").content)
    one = ProcedureDescription.model_validate_json(caller.http.get("/v1/procedures/benefit").content)

    assert [procedure.procedure for procedure in listed.procedures] == ["benefit"]
    assert [requirement.requirement for requirement in one.requirements] == ["clearance", "jobs", "last-job"]
    assert one.requirements[0].evidence_lists[0][0].provider == "tax"
    assert caller.http.get("/v1/procedures/none").status_code == 404


def test_procedures_can_be_read_as_linked_data_without_another_site(caller):
    answer = caller.http.get("/v1/procedures/benefit", headers={"accept": "application/ld+json"})

    assert answer.headers["content-type"] == "application/ld+json"
    nodes = {node["id"]: node for node in answer.json()["@graph"]}
    named = {name for node in nodes.values() for value in node.values() for name in listed(value)}
    assert {name for name in named if name.startswith("urn:yekbar:")} <= set(nodes)
    service = nodes["urn:yekbar:procedure:benefit"]
    assert service["type"] == "cpsv:PublicService"
    (evidence_list,) = nodes[service["holdsRequirement"][0]]["hasEvidenceTypeList"]
    (evidence_type,) = nodes[evidence_list]["specifiesEvidenceType"]
    assert nodes[nodes[evidence_type]["publisher"]]["identifier"] == "tax"
    assert isinstance(answer.json()["@context"], dict)


def listed(value):
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def test_the_page_and_the_openapi_document_are_served(caller):
    page, document = caller.http.get("/"), caller.http.get("/openapi.json").json()

    assert "مقرری" in page.text
    assert document["openapi"] == "3.1.0"
    assert {"/v1/evidence", "/v1/procedures", "/v1/procedures/{procedure}"} <= set(document["paths"])
    assert "EvidenceRequest" in document["components"]["schemas"]
