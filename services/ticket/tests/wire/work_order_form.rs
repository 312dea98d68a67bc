//! T-16: the form that is printed.

use kefu_api::ticket::v1 as pb;

use crate::work_order::{order, wang};
use crate::world::{Desk, World, violations};

async fn render(desk: &mut Desk, name: &str, language: &str) -> String {
    let request = pb::RenderWorkOrderRequest { name: name.into(), language_code: language.into() };
    desk.orders.render_work_order(request).await.unwrap().into_inner().html
}

#[tokio::test]
async fn t16_the_form_has_two_parts_in_english_and_in_chinese() {
    let world = World::new().await;
    let (mut clerk, mut wang) = (world.clerk(), wang(&world));
    let issued = clerk.issue(order("group", "换密封圈")).await;
    let name = &issued.name;
    let english = render(&mut clerk, name, "en-GB").await;
    for words in
        ["Dispatch part", "Return part", "W-2026-group-000001", "2026-03-02 12:00", "换密封圈"]
    {
        assert!(english.contains(words), "{words}");
    }
    assert!(english.contains("<html lang=\"en\">"));
    let chinese = render(&mut clerk, name, "zh-CN").await;
    for words in ["派工联", "回执联", "反馈时限", "<html lang=\"zh-CN\">"] {
        assert!(chinese.contains(words), "{words}");
    }
    assert!(!chinese.contains("Return part"));
    wang.accept(name).await.unwrap();
    wang.complete(name).await.unwrap();
    wang.sign_off(name).await.unwrap();
    let signed = render(&mut clerk, name, "").await;
    for words in ["已更换", "张三", "8042"] {
        assert!(signed.contains(words), "{words}");
    }
    let voided = clerk.issue(order("group", "查")).await.name;
    world.manager().void(&voided).await.unwrap();
    assert!(render(&mut clerk, &voided, "zh").await.contains("已作废: 重复派单"));
    let request = pb::RenderWorkOrderRequest { name: name.clone(), language_code: "tlh".into() };
    let error = clerk.orders.render_work_order(request).await.unwrap_err();
    assert_eq!(violations(&error), ["language_code"]);
}

#[tokio::test]
async fn t16_what_people_wrote_is_shown_and_never_obeyed() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let hostile = "</td><script>alert('1')</script><img src=x onerror=\"alert(2)\">&amp;";
    let new = pb::WorkOrder {
        requirements: hostile.into(),
        place: hostile.into(),
        assignee: hostile.into(),
        assignee_team: hostile.into(),
        ..order("group", hostile)
    };
    let name = clerk.issue(new).await.name;
    let html = render(&mut clerk, &name, "en").await;
    assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("onerror=\""));
    assert_eq!(html.matches("&lt;script&gt;alert(&#39;1&#39;)").count(), 5);
    assert_eq!(html.matches("</table>").count(), 2, "the form is whole");
    assert!(html.contains("&amp;amp;"), "not unescaped either");
}
