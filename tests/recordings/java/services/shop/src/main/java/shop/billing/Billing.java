package shop.billing;

import java.util.Map;
import org.springframework.context.annotation.Profile;
import org.springframework.security.access.prepost.PreAuthorize;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RestController;

@RestController
@Profile("billing")
class Billing {
    @PostMapping("/charges")
    @PreAuthorize("hasRole('CASHIER')")
    Map<String, Object> charge(@RequestBody Map<String, Integer> order) {
        return Map.of("charged", order.get("order"));
    }
}
